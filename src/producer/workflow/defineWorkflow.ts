import { DateTimeSchema } from '../../schemas/dateTime.ts';
import type { StateInput } from '../../schemas/signal.ts';
import type { WorkflowStep } from '../../schemas/workflow.ts';

export type WorkflowDefinition = {
  /** In the order in which a process runs through them; final ones last. */
  steps: readonly WorkflowStep[];
  /**
   * For processes that are graphs: which status may follow which, by id. The order is then the best
   * approximation of one, from the first step on, and that of `steps` only where they leave it open.
   */
  transitions?: Transitions | undefined;
};

/** A status, and when the application or position came to it: RFC 3339 with an offset, or a Date. */
export type WorkflowMoment = { status: string; at: Date | string };

export type Workflow = {
  /** The ids of its statuses, in order. */
  statuses: readonly string[];
  /** A state as a signal's `current` or `previous` takes it. */
  state: (status: string, at: Date | string) => StateInput;
  /** Both of them. Without `from`, where the ATS does not know it, `current` alone. */
  transition: (
    from: WorkflowMoment | undefined,
    to: WorkflowMoment,
  ) => { current: StateInput; previous?: StateInput };
};

/** The process, or what was asked of it, is not as SEEK could read it. Names every problem. */
export class WorkflowError extends Error {
  override readonly name = 'WorkflowError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/**
 * An ATS's own process in SEEK's terms (developer.seek.com, "Data structure"): statuses and their
 * phases counted from 1, and whether each is a success. Of trees that are deeper, a status and the
 * phase right above it are what SEEK hears of.
 *
 * @throws {WorkflowError} No statuses, ids that repeat, transitions between statuses that are not there.
 */
export const defineWorkflow = ({ steps, transitions = [] }: WorkflowDefinition): Workflow => {
  const listed = steps.flatMap((step) => leavesOf(step, { phase: undefined, placed: undefined }));
  const problems = [...problemsOf(listed), ...problemsOfTransitions(listed, transitions)];
  if (problems.length > 0) throw new WorkflowError(problems);

  const leaves = transitions.length === 0 ? listed : inOrder(listed, transitions);
  const phases = [...new Set(leaves.map(({ phase }) => phase))].filter(
    (phase) => phase !== undefined,
  );
  const states = new Map(
    leaves.map(({ id, label, phase, placed }, place) => [
      id,
      {
        ...(phase === undefined ? {} : { phase: rank(phase.label, phases.indexOf(phase), phases) }),
        status: rank(label, place, leaves),
        success: placed ?? null,
      },
    ]),
  );

  const state = (status: string, at: Date | string): StateInput => {
    const known = states.get(status);
    const timestamp = toTimestamp(at);
    const wrong = [
      ...(known === undefined ? [unknownStatus(status, states.keys())] : []),
      ...(timestamp === undefined ? ['at: expected a Date, or RFC 3339 with an offset'] : []),
    ];
    if (known === undefined || timestamp === undefined) throw new WorkflowError(wrong);
    const made = { ...known, timestamp };
    MADE.add(made);
    return made;
  };

  return {
    statuses: [...states.keys()],
    state,
    transition: (from, to) => {
      const current = state(to.status, to.at);
      if (from === undefined) return { current };
      const previous = state(from.status, from.at);
      if (Date.parse(previous.timestamp) > Date.parse(current.timestamp)) {
        throw new WorkflowError([`from (${from.status}) is later than to (${to.status})`]);
      }
      return { current, previous };
    },
  };
};

const MADE = new WeakSet<object>();

/** A state that a workflow has made, as it was made. */
export const isOfWorkflow = (state: unknown): boolean =>
  typeof state === 'object' && state !== null && MADE.has(state);

type Phase = { label: string };
type Leaf = { id: string; label: string; phase: Phase | undefined; placed: boolean | undefined };
type Above = Pick<Leaf, 'phase' | 'placed'>;

/** The statuses below a step; of what is above them, the nearest counts. */
const leavesOf = (step: WorkflowStep, { phase, placed }: Above): Leaf[] => {
  if (typeof step === 'string') return [{ id: step, label: step, phase, placed }];
  const { label, id = label, steps = [] } = step;
  const ends = step.placed ?? placed;
  if (steps.length === 0) return [{ id, label, phase, placed: ends }];
  const own = { label };
  return steps.flatMap((each) => leavesOf(each, { phase: own, placed: ends }));
};

/** By the transitions, but what is final goes to the end, where SEEK expects it. */
const inOrder = (leaves: readonly Leaf[], transitions: Transitions): Leaf[] => {
  const byId = new Map(leaves.map((leaf) => [leaf.id, leaf]));
  const ordered = orderByTransitions([...byId.keys()], transitions)
    .map((id) => byId.get(id))
    .filter((leaf) => leaf !== undefined);
  const isFinal = ({ placed }: Leaf) => placed !== undefined;
  return [...ordered.filter((leaf) => !isFinal(leaf)), ...ordered.filter(isFinal)];
};

const rank = (label: string, place: number, all: readonly unknown[]) => ({
  label,
  index: place + 1,
  total: all.length,
});

const toTimestamp = (at: Date | string): string | undefined => {
  if (typeof at === 'string') return DateTimeSchema.safeParse(at).success ? at : undefined;
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
};

// One of more is none that a person has drawn, and would take long to put into order.
const MOST_STATUSES = 300;
// What is wrong is told to whoever sent it: it must not become a thousand times as long.
const MOST_PROBLEMS = 20;
const MOST_TOLD = 500;

const problemsOf = (leaves: readonly Leaf[]): string[] => {
  if (leaves.length === 0) return ['steps: expected at least one status'];
  if (leaves.length > MOST_STATUSES) return [`steps: more than ${MOST_STATUSES} statuses`];
  const counts = new Map<string, number>();
  for (const { id } of leaves) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > 1)
    .slice(0, MOST_PROBLEMS)
    .map(
      ([id]) =>
        `steps: ${JSON.stringify(id.slice(0, MOST_TOLD).toWellFormed())} stands there more than once: give each an id`,
    );
};

const problemsOfTransitions = (leaves: readonly Leaf[], transitions: Transitions): string[] => {
  const known = new Set(leaves.map(({ id }) => id));
  const unknown = transitions.flat().filter((id) => !known.has(id));
  return [...new Set(unknown)]
    .slice(0, MOST_PROBLEMS)
    .map((id) => `transitions: ${unknownStatus(id, known)}`);
};

const unknownStatus = (status: string, known: Iterable<string>): string => {
  const expected = [...known].join(', ').slice(0, MOST_TOLD).toWellFormed();
  return `${JSON.stringify(status.slice(0, MOST_TOLD).toWellFormed())} is not in the workflow; expected one of ${expected}`;
};

/** Which may follow which. */
export type Transitions = readonly (readonly [from: string, to: string])[];

/**
 * Puts the statuses of a graph into one order, the first of them first: what leads to a status stands
 * before it, and where that leaves a choice, they keep the order in which they were given. In a graph
 * with ways back not all of that can be had, so there one that is led to need not wait for the rest.
 */
export const orderByTransitions = (ids: readonly string[], transitions: Transitions): string[] => {
  const [first] = ids;
  const before = new Map(ids.map((id): [string, Set<string>] => [id, new Set()]));
  for (const [from, to] of transitions) {
    if (from !== to && to !== first) before.get(to)?.add(from);
  }

  const ordered = new Set<string>();
  const left = new Set(ids);
  const missing = (id: string) =>
    [...(before.get(id) ?? [])].filter((each) => left.has(each)).length;
  const isReached = (id: string) => [...(before.get(id) ?? [])].some((each) => ordered.has(each));
  while (left.size > 0) {
    const choice = [...left];
    const next = choice.find((id) => missing(id) === 0) ?? choice.find(isReached) ?? choice[0];
    if (next === undefined) break;
    ordered.add(next);
    left.delete(next);
  }
  return [...ordered];
};

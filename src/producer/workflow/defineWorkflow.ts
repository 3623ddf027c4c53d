import { DateTimeSchema } from '../../schemas/dateTime.ts';
import type { StateInput } from '../../schemas/signal.ts';
import type { WorkflowStep } from '../../schemas/workflow.ts';
import { orderByTransitions, type Transitions } from './statusOrder.ts';

export type WorkflowDefinition = {
  /** The statuses and phases, in the order in which a process passes them; final ones last. */
  steps: readonly WorkflowStep[];
  /**
   * For a process that is a graph: which status may follow which, by id. They decide the order of the
   * statuses, beginning with the first of `steps`; the order of `steps` applies where they leave it
   * open.
   */
  transitions?: Transitions | undefined;
};

/** A status, and when the application or position entered it. */
export type WorkflowMoment = {
  /** The id of the status. */
  status: string;
  /** A Date, or RFC 3339 with an offset. */
  at: Date | string;
};

export type Workflow = {
  /** The ids of the statuses, in the order in which SEEK counts them. */
  statuses: readonly string[];
  /**
   * Returns a state in SEEK's terms, for `current` or `previous` of a signal. `at` is a Date, or RFC
   * 3339 with an offset.
   *
   * @throws {WorkflowError} The status is not in the workflow, or `at` is not a time.
   */
  state: (status: string, at: Date | string) => StateInput;
  /**
   * Returns `current` and `previous` of a signal. Without `from`, if the ATS does not know it, only
   * `current`.
   *
   * @throws {WorkflowError} As `state`; or `from` is later than `to`.
   */
  transition: (
    from: WorkflowMoment | undefined,
    to: WorkflowMoment,
  ) => { current: StateInput; previous?: StateInput };
};

/** The workflow, or a state requested from it, is invalid. The message lists all problems. */
export class WorkflowError extends Error {
  override readonly name = 'WorkflowError';
  /** All problems, one text each. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/**
 * Translates an ATS's own process into SEEK's terms (developer.seek.com, "Data structure"): it counts
 * statuses and phases from 1, and derives `success` from `placed`. Of a deeper tree, a state has the
 * status and the phase directly above it.
 *
 * @throws {WorkflowError} The workflow has no status or more than 300, repeats an id, or has a transition of an
 * unknown status.
 */
export const defineWorkflow = ({ steps, transitions = [] }: WorkflowDefinition): Workflow => {
  const listed = steps.flatMap((step) => leavesOf(step, { phase: undefined, placed: undefined }));
  const problems = [...problemsOf(listed), ...problemsOfTransitions(listed, transitions)];
  if (problems.length > 0) throw new WorkflowError(problems);

  const states = toStates(transitions.length === 0 ? listed : inOrder(listed, transitions));

  const state = (status: string, at: Date | string): StateInput => {
    const found = states.get(status);
    const timestamp = toTimestamp(at);
    if (found === undefined || timestamp === undefined) {
      throw new WorkflowError([
        ...(found === undefined ? [unknownStatus(status, states.keys())] : []),
        ...(timestamp === undefined ? ['at: expected a Date, or RFC 3339 with an offset'] : []),
      ]);
    }
    const created = { ...found, timestamp };
    CREATED_STATES.add(created);
    return created;
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

const CREATED_STATES = new WeakSet<object>();

/** Whether a workflow created this state object. Such a state gets no warning about `success`. */
export const isOfWorkflow = (state: unknown): boolean =>
  typeof state === 'object' && state !== null && CREATED_STATES.has(state);

type Phase = { label: string };
type Leaf = { id: string; label: string; phase: Phase | undefined; placed: boolean | undefined };
type Above = Pick<Leaf, 'phase' | 'placed'>;

/** The statuses below a step. Each takes phase and `placed` from the nearest step above it that has one. */
const leavesOf = (step: WorkflowStep, { phase, placed }: Above): Leaf[] => {
  if (typeof step === 'string') return [{ id: step, label: step, phase, placed }];
  const { label, id = label, steps = [] } = step;
  const ownPlaced = step.placed ?? placed;
  if (steps.length === 0) return [{ id, label, phase, placed: ownPlaced }];
  const ownPhase = { label };
  return steps.flatMap((each) => leavesOf(each, { phase: ownPhase, placed: ownPlaced }));
};

/** Orders by the transitions. Final statuses go to the end, where SEEK expects them. */
const inOrder = (leaves: readonly Leaf[], transitions: Transitions): Leaf[] => {
  const byId = new Map(leaves.map((leaf) => [leaf.id, leaf]));
  const ordered = orderByTransitions([...byId.keys()], transitions)
    .map((id) => byId.get(id))
    .filter((leaf) => leaf !== undefined);
  const isFinal = ({ placed }: Leaf) => placed !== undefined;
  return [...ordered.filter((leaf) => !isFinal(leaf)), ...ordered.filter(isFinal)];
};

/** The state of each status in SEEK's terms, by id, without a timestamp. */
const toStates = (leaves: readonly Leaf[]) => {
  const phases = [...new Set(leaves.map(({ phase }) => phase))].filter(
    (phase) => phase !== undefined,
  );
  return new Map(
    leaves.map(({ id, label, phase, placed }, position) => [
      id,
      {
        ...(phase === undefined ? {} : { phase: rank(phase.label, phases.indexOf(phase), phases) }),
        status: rank(label, position, leaves),
        success: placed ?? null,
      },
    ]),
  );
};

const rank = (label: string, position: number, all: readonly unknown[]) => ({
  label,
  index: position + 1,
  total: all.length,
});

const toTimestamp = (at: Date | string): string | undefined => {
  if (typeof at === 'string') return DateTimeSchema.safeParse(at).success ? at : undefined;
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
};

// More than any real process has. Ordering takes quadratic time.
const MAX_STATUSES = 300;
// The problems are returned to the sender. Without bounds, they could be a thousand times as long as
// the workflow.
const MAX_PROBLEMS = 20;
const MAX_QUOTED_LENGTH = 500;

const problemsOf = (leaves: readonly Leaf[]): string[] => {
  if (leaves.length === 0) return ['steps: expected at least one status'];
  if (leaves.length > MAX_STATUSES) return [`steps: more than ${MAX_STATUSES} statuses`];
  const counts = new Map<string, number>();
  for (const { id } of leaves) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > 1)
    .slice(0, MAX_PROBLEMS)
    .map(
      ([id]) =>
        `steps: ${JSON.stringify(id.slice(0, MAX_QUOTED_LENGTH).toWellFormed())} occurs more than once: give each an id`,
    );
};

const problemsOfTransitions = (leaves: readonly Leaf[], transitions: Transitions): string[] => {
  const known = new Set(leaves.map(({ id }) => id));
  const unknown = transitions.flat().filter((id) => !known.has(id));
  return [...new Set(unknown)]
    .slice(0, MAX_PROBLEMS)
    .map((id) => `transitions: ${unknownStatus(id, known)}`);
};

const unknownStatus = (status: string, known: Iterable<string>): string => {
  const expected = [...known].join(', ').slice(0, MAX_QUOTED_LENGTH).toWellFormed();
  return `${JSON.stringify(status.slice(0, MAX_QUOTED_LENGTH).toWellFormed())} is not in the workflow; expected one of ${expected}`;
};

import { type InvalidFields, toInvalidFields } from '../../schemas/invalidFields.ts';
import { isObject } from '../../schemas/json.ts';
import { NamedStateSchema, WorkflowSchema } from '../../schemas/workflow.ts';
import { defineWorkflow, isOfWorkflow, type Workflow, WorkflowError } from './defineWorkflow.ts';

type Applied = {
  input: unknown;
  invalidFields: InvalidFields;
  /** The states come from a workflow, which defines how the process ends in each status. */
  isModelled: boolean;
};

// `Workflow.state` needs a time. The timestamp of the signal replaces it, and is validated with the signal.
const PLACEHOLDER_TIME = new Date(0);
// Stands for an invalid state, so that the rest of the signal can still be validated.
const PLACEHOLDER_STATE = { status: { label: '-', index: 1, total: 1 }, success: null };
// The problems are returned to the sender. Without a bound, they could be a thousand times as long as
// the signal.
const MAX_QUOTED_LENGTH = 500;

/**
 * Turns a signal with a `workflow`, whose states name its statuses, into a signal in SEEK's terms.
 * Returns other signals unchanged. Problems of the workflow are returned beside the signal, so that the
 * caller can report them together with the problems of the signal itself.
 */
export const applyWorkflow = (input: unknown): Applied => {
  if (typeof input !== 'object' || input === null || !Object.hasOwn(input, 'workflow')) {
    const isModelled = isObject(input) && isOfWorkflow(input.current);
    return { input, invalidFields: {}, isModelled };
  }
  const { workflow: definition, ...signal } = { workflow: undefined, ...input };
  // As with any optional field, `null` counts as absent.
  if (definition === null || definition === undefined) {
    return { input: signal, invalidFields: {}, isModelled: false };
  }
  const read = readWorkflow(definition);
  const invalidFields = 'workflow' in read ? {} : at('/workflow', read.invalidFields);
  const states: Record<string, unknown> = {};
  for (const name of ['current', 'previous']) {
    const given: unknown = Reflect.get(signal, name);
    if (given === undefined || given === null) continue;
    const { state, problems } = resolveState(given, 'workflow' in read ? read.workflow : undefined);
    states[name] = state;
    Object.assign(invalidFields, at(`/${name}`, problems));
  }
  return { input: { ...signal, ...states }, invalidFields, isModelled: true };
};

/** Looks up the status that a state names. Without a workflow, because it is invalid, every status passes. */
const resolveState = (given: unknown, workflow: Workflow | undefined) => {
  const parsed = NamedStateSchema.safeParse(given, { reportInput: true });
  if (!parsed.success) {
    const problems = toInvalidFields(parsed.error);
    return { state: withTimestampOf(given, PLACEHOLDER_STATE), problems };
  }
  const { status } = parsed.data;
  if (workflow === undefined || workflow.statuses.includes(status)) {
    const state = workflow?.state(status, PLACEHOLDER_TIME) ?? PLACEHOLDER_STATE;
    return { state: withTimestampOf(given, state), problems: {} };
  }
  const expected = workflow.statuses.join(', ').slice(0, MAX_QUOTED_LENGTH).toWellFormed();
  const problems = { '/status': `Is not in the workflow; expected one of ${expected}` };
  return { state: withTimestampOf(given, PLACEHOLDER_STATE), problems };
};

const withTimestampOf = (given: unknown, state: object): object => ({
  ...state,
  timestamp: Reflect.get(Object(given), 'timestamp'),
});

const readWorkflow = (
  definition: unknown,
): { workflow: Workflow } | { invalidFields: InvalidFields } => {
  try {
    const parsed = WorkflowSchema.safeParse(definition, { reportInput: true });
    return parsed.success
      ? { workflow: defineWorkflow(parsed.data) }
      : { invalidFields: toInvalidFields(parsed.error) };
  } catch (err) {
    if (err instanceof WorkflowError) return { invalidFields: { '': err.message } };
    // JSON.parse has no limit of depth, but walking through a deeply nested value overflows the stack.
    if (err instanceof RangeError) return { invalidFields: { '': 'Is nested too deeply' } };
    throw err;
  }
};

const at = (pointer: string, problems: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(problems).map(([inner, text]) => [`${pointer}${inner}`, text]));

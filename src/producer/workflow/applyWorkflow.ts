import { type InvalidFields, toInvalidFields } from '../../schemas/invalidFields.ts';
import { isObject } from '../../schemas/json.ts';
import { NamedStateSchema, WorkflowSchema } from '../../schemas/workflow.ts';
import { defineWorkflow, isOfWorkflow, type Workflow, WorkflowError } from './defineWorkflow.ts';

type Applied = {
  input: unknown;
  invalidFields: InvalidFields;
  /** Its states come from a workflow, which knows where a process ends. */
  isModelled: boolean;
};

// Its statuses are known without a time; which time it is, is judged with the rest of the signal.
const ANY_TIME = new Date(0);
const ANY_STATE = { status: { label: '-', index: 1, total: 1 }, success: null };

/**
 * A signal that brings the ATS's own process along as `workflow`, and names statuses of it, becomes one
 * in SEEK's terms. Others stay as they are. What is wrong is told beside it, so that the rest can be
 * looked at all the same.
 */
export const applyWorkflow = (input: unknown): Applied => {
  if (typeof input !== 'object' || input === null || !Object.hasOwn(input, 'workflow')) {
    const isModelled = isObject(input) && isOfWorkflow(input.current);
    return { input, invalidFields: {}, isModelled };
  }
  const { workflow: definition, ...signal } = { workflow: undefined, ...input };
  // As with any other field: what is not used may be null.
  if (definition === null || definition === undefined) {
    return { input: signal, invalidFields: {}, isModelled: false };
  }
  const read = readWorkflow(definition);
  const invalidFields = 'workflow' in read ? {} : at('/workflow', read.invalidFields);
  const states: Record<string, unknown> = {};
  for (const name of ['current', 'previous']) {
    const given: unknown = Reflect.get(signal, name);
    if (given === undefined || given === null) continue;
    const { state, problems } = nameState(given, 'workflow' in read ? read.workflow : undefined);
    states[name] = state;
    Object.assign(invalidFields, at(`/${name}`, problems));
  }
  return { input: { ...signal, ...states }, invalidFields, isModelled: true };
};

const nameState = (given: unknown, workflow: Workflow | undefined) => {
  const parsed = NamedStateSchema.safeParse(given, { reportInput: true });
  if (!parsed.success)
    return { state: timed(ANY_STATE, given), problems: toInvalidFields(parsed.error) };
  const { status } = parsed.data;
  if (workflow === undefined || workflow.statuses.includes(status)) {
    return { state: timed(workflow?.state(status, ANY_TIME) ?? ANY_STATE, given), problems: {} };
  }
  const expected = workflow.statuses.join(', ').slice(0, MOST_TOLD).toWellFormed();
  const problems = { '/status': `Is not in the workflow; expected one of ${expected}` };
  return { state: timed(ANY_STATE, given), problems };
};

const MOST_TOLD = 500;

const timed = (state: object, given: unknown): object => ({
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
    // The parser of JSON takes any depth; what walks through it runs out of stack.
    if (err instanceof RangeError) return { invalidFields: { '': 'Is nested too deep' } };
    throw err;
  }
};

const at = (pointer: string, problems: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(problems).map(([inner, text]) => [`${pointer}${inner}`, text]));

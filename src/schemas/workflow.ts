import * as z from 'zod';

import { TextSchema } from './identifiers.ts';

const MAX_TRANSITIONS = 5_000;

const StepSchema = z.union([
  TextSchema,
  z.strictObject({
    label: TextSchema,
    id: TextSchema.optional(),
    placed: z.boolean('Expected true or false').optional(),
    get steps(): z.ZodOptional<z.ZodArray<z.ZodType<WorkflowStep>>> {
      return z.array(StepSchema).optional();
    },
  }),
]);

/** A status, or a phase that contains `steps`. A string is the label of a status, and its id. */
export type WorkflowStep =
  | string
  | {
      /** What the hirer sees. */
      label: string;
      /** The ATS's own id of the status, needed if labels repeat or change. Default: the label. */
      id?: string | undefined;
      /**
       * How the process ends in this status: `true` placed or filled, `false` neither. Absent: it
       * continues. Applies to all steps below that do not set it themselves.
       */
      placed?: boolean | undefined;
      steps?: readonly WorkflowStep[] | undefined;
    };

/** An ATS's own process, as sent in the field `workflow` of a signal. */
export const WorkflowSchema = z.strictObject(
  {
    steps: z.array(StepSchema, 'Expected a list of steps'),
    transitions: z
      .array(z.tuple([TextSchema, TextSchema], 'Expected a pair of statuses'))
      .max(MAX_TRANSITIONS)
      .optional(),
  },
  'Expected an object with steps',
);

/** A state that names a status of the signal's `workflow`. */
export const NamedStateSchema = z.strictObject(
  { status: TextSchema, timestamp: z.unknown() },
  'Expected an object with a status of the workflow and a timestamp',
);

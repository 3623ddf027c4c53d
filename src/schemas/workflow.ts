import * as z from 'zod';

import { TextSchema } from './identifiers.ts';

const MOST_TRANSITIONS = 5_000;

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

/**
 * A status, or a phase with `steps` of its own. Its label is what the hirer sees. `id` is what the
 * ATS calls it, where labels repeat or change; by default the label.
 */
export type WorkflowStep =
  | string
  | {
      label: string;
      id?: string | undefined;
      /**
       * How it ends: `true` placed (or the position filled), `false` closed without. Counts for all
       * steps below, unless they say otherwise; absent: it still goes on.
       */
      placed?: boolean | undefined;
      steps?: readonly WorkflowStep[] | undefined;
    };

/** An ATS's own process, as it comes with a signal. */
export const WorkflowSchema = z.strictObject(
  {
    steps: z.array(StepSchema, 'Expected a list of steps'),
    transitions: z
      .array(z.tuple([TextSchema, TextSchema], 'Expected a pair of statuses'))
      .max(MOST_TRANSITIONS)
      .optional(),
  },
  'Expected an object with steps',
);

/** A state that names a status of the workflow beside it. */
export const NamedStateSchema = z.strictObject(
  { status: TextSchema, timestamp: z.unknown() },
  'Expected an object with the name of a status, and a timestamp',
);

import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';

import { toInvalidFields } from '../../schemas/invalidFields.ts';

const WHOLE = 'Expected a whole number from 1';
export const count = z.coerce.number(WHOLE).int(WHOLE).min(1, WHOLE);

/** What a query asks for; 422 with every problem. */
export const readQuery = <Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): z.infer<Schema> => {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  const invalidFields = toInvalidFields(parsed.error);
  throw new HTTPException(422, {
    res: Response.json({ message: 'Filter validation failed', invalidFields }, { status: 422 }),
  });
};

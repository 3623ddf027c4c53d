import { type Context, Hono } from 'hono';
import * as z from 'zod';

import { toInvalidFields } from '../schemas/invalidFields.ts';
import type { AccessTokens } from './accessTokens.ts';
import { FaultSchema } from './faultSchema.ts';
import type { Faults } from './faults.ts';
import {
  type AcceptedSignal,
  type RecordedRequest,
  type RingBuffer,
  viewFault,
  viewRequest,
  viewSignal,
} from './records.ts';
import { type Settings, SettingsPatchSchema } from './settings.ts';

const ListSchema = z.object({ limit: z.coerce.number().int().min(1).default(100) });

type Deps = {
  signals: RingBuffer<AcceptedSignal>;
  requests: RingBuffer<RecordedRequest>;
  faults: Faults;
  settings: Settings;
  tokens: AccessTokens;
};

const reject = (c: Context, error: z.ZodError) =>
  c.json({ message: 'Input validation failed', invalidFields: toInvalidFields(error) }, 422);

// A body that is not JSON becomes `undefined`, which the schemas reject like any other invalid body.
const readBody = (c: Context): Promise<unknown> => c.req.json().catch(() => undefined);

/** Shows and controls the simulator over HTTP, under `/simulator`. */
export const createControlApi = ({ signals, requests, faults, settings, tokens }: Deps) => {
  const newestFirst =
    <T>(key: string, records: RingBuffer<T>, view: (item: T) => unknown) =>
    (c: Context) => {
      const query = ListSchema.safeParse(c.req.query());

      if (!query.success) {
        return reject(c, query.error);
      }

      const newest = records.list().slice(-query.data.limit).toReversed();

      return c.json({ total: records.total(), [key]: newest.map(view) });
    };

  return new Hono()
    .get('/signals', newestFirst('signals', signals, viewSignal))
    .delete('/signals', (c) => {
      signals.clear();

      return c.body(null, 204);
    })
    .get('/requests', newestFirst('requests', requests, viewRequest))
    .get('/faults', (c) => c.json({ faults: faults.list().map(viewFault) }))
    .post('/faults', async (c) => {
      const fault = FaultSchema.safeParse(await readBody(c));

      return fault.success
        ? c.json(viewFault(faults.arm(fault.data)), 201)
        : reject(c, fault.error);
    })
    .delete('/faults', (c) => {
      faults.clear();

      return c.body(null, 204);
    })
    .delete('/faults/:id', (c) =>
      faults.disarm(c.req.param('id'))
        ? c.body(null, 204)
        : c.json({ message: 'No active fault has this id' }, 404),
    )
    .delete('/tokens', (c) => {
      tokens.expireAll();

      return c.body(null, 204);
    })
    .get('/settings', (c) => c.json(settings.get()))
    .patch('/settings', async (c) => {
      const patch = SettingsPatchSchema.safeParse(await readBody(c));

      return patch.success ? c.json(settings.change(patch.data)) : reject(c, patch.error);
    });
};

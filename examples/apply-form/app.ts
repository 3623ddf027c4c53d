import { randomUUID } from 'node:crypto';
import express from 'express';
import {
  defineWorkflow,
  InvalidSeekTokenError,
  type Producer,
  type SeekTokenInput,
  type SeekTokenReading,
} from 'seek-signal-dispatcher';
import { seekToken } from 'seek-signal-dispatcher/express';

const applications = defineWorkflow({
  steps: [
    'Applied',
    'Interview',
    { label: 'Hired', placed: true },
    { label: 'Unsuccessful', placed: false },
  ],
});

/**
 * The part of an ATS that SEEK cares about: an apply form, and a hirer who moves applications on. What
 * lies in maps here would lie in the ATS's database.
 */
export const createApplyForm = (
  producer: Pick<Producer, 'recordSeekToken' | 'enqueue'>,
  now: () => Date = () => new Date(),
) => {
  const movedAt = new Map<string, { status: string; at: Date }>();
  const unrecorded = new Map<string, SeekTokenInput[]>();
  const app = express();

  const record = async (recording: SeekTokenInput): Promise<void> => {
    await producer.recordSeekToken(recording).catch((err: unknown) => {
      // A link that somebody has garbled. SEEK would not know the token either.
      if (!(err instanceof InvalidSeekTokenError)) throw err;
    });
  };

  /** The form opens, whatever becomes of the token: what can't be recorded now is, with the application. */
  const keep = async (applicationId: string, token: SeekTokenReading | undefined) => {
    if (token === undefined) return;
    const recording = { applicationId, ...token, receivedAt: now() };
    await record(recording).catch(() => {
      unrecorded.set(applicationId, [...(unrecorded.get(applicationId) ?? []), recording]);
    });
  };

  app.use(seekToken());

  // The candidate arrives: from a job ad, with a token, or from anywhere else, without.
  app.get('/apply', async (req, res) => {
    const applicationId = randomUUID();
    await keep(applicationId, req.seekToken);
    res.json({ applicationId });
  });

  // Back from Apply with SEEK, which has a token of its own: redirectUri was /apply/APPLICATION_ID.
  app.get('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    await keep(applicationId, req.seekToken);
    res.json({ applicationId });
  });

  app.post('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    const at = now();
    movedAt.set(applicationId, { status: 'Applied', at });
    for (const recording of unrecorded.get(applicationId) ?? []) await record(recording);
    unrecorded.delete(applicationId);
    // Whether SEEK wants to hear of it is not ours to decide: without a token it is skipped.
    res.json(
      await producer.enqueue({
        ...{ typeCode: 'ApplicationComplete', applicationId, timestamp: at.toISOString() },
      }),
    );
  });

  app.post('/applications/:applicationId/status/:status', async (req, res) => {
    const { applicationId, status } = req.params;
    const to = { status, at: now() };
    const states = applications.transition(movedAt.get(applicationId), to);
    movedAt.set(applicationId, to);
    res.json(
      await producer.enqueue({ typeCode: 'ApplicationStatusUpdate', applicationId, ...states }),
    );
  });

  return app;
};

import { randomUUID } from 'node:crypto';
import express from 'express';
import {
  carrySeekParameters,
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
 * The part of an ATS that sends signals: an apply form, and a hirer who changes the status of an
 * application. An ATS keeps in its database what this example keeps in maps.
 *
 * docs/guides/seek-tokens.md and docs/guides/workflows.md explain the calls.
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
      // A damaged link: SEEK would not recognise the token either, so recording it later is no use.
      if (!(err instanceof InvalidSeekTokenError)) throw err;
    });
  };

  /** A failed recording must not stop the candidate: the token is kept, and recorded with the application. */
  const recordOrKeep = async (applicationId: string, token: SeekTokenReading | undefined) => {
    if (token === undefined) return;
    const recording = { applicationId, ...token, receivedAt: now() };
    await record(recording).catch(() => {
      unrecorded.set(applicationId, [...(unrecorded.get(applicationId) ?? []), recording]);
    });
  };

  app.use(seekToken());

  // A page between the job ad and the apply form: its link must carry the token on.
  app.get('/positions/:positionId', (req, res) => {
    res.json({ applyUrl: carrySeekParameters(req, '/apply') });
  });

  // The candidate arrives at the apply form: with a token from a SEEK job ad, or without one from elsewhere.
  app.get('/apply', async (req, res) => {
    const applicationId = randomUUID();
    await recordOrKeep(applicationId, req.seekToken);
    res.json({ applicationId });
  });

  // The candidate returns from Apply with SEEK, with another token. redirectUri was /apply/APPLICATION_ID.
  app.get('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    await recordOrKeep(applicationId, req.seekToken);
    res.json({ applicationId });
  });

  app.post('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    const at = now();
    movedAt.set(applicationId, { status: 'Applied', at });
    for (const recording of unrecorded.get(applicationId) ?? []) await record(recording);
    unrecorded.delete(applicationId);
    // Report every application: the worker skips those that SEEK expects no signal for.
    res.json(
      await producer.enqueue({
        typeCode: 'ApplicationComplete',
        applicationId,
        timestamp: at.toISOString(),
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

import { randomUUID } from 'node:crypto';
import express from 'express';
import { defineWorkflow, type Producer } from 'seek-signal-dispatcher';
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
 * The part of an ATS that SEEK cares about: an apply form, and a hirer who moves applications on. Drafts
 * and statuses would lie in a database.
 */
export const createApplyForm = (
  producer: Pick<Producer, 'recordSeekToken' | 'enqueue'>,
  now: () => Date = () => new Date(),
) => {
  const movedAt = new Map<string, { status: string; at: Date }>();
  const app = express();
  app.use(seekToken());

  // The candidate arrives: from a job ad, with a token, or from anywhere else, without.
  app.get('/apply', async (req, res) => {
    const applicationId = randomUUID();
    if (req.seekToken) await producer.recordSeekToken({ applicationId, ...req.seekToken });
    res.json({ applicationId });
  });

  // Back from Apply with SEEK, which has a token of its own: redirectUri was /apply/APPLICATION_ID.
  app.get('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    if (req.seekToken) await producer.recordSeekToken({ applicationId, ...req.seekToken });
    res.json({ applicationId });
  });

  app.post('/apply/:applicationId', async (req, res) => {
    const { applicationId } = req.params;
    const at = now();
    movedAt.set(applicationId, { status: 'Applied', at });
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

import { empty, hang, html } from '../../support/scriptedSeek.ts';
import type { Environment } from '../environment.ts';
import { deliver, neverReply, refuse } from '../replies.ts';
import type { Scenario } from '../scenario.ts';
import { deliverSlowly } from './deliverSlowly.ts';

const WORKERS = 3;

/** During an outage the circuit breaker is open, and the status says since when and why. */
const verifySuspended = async (environment: Environment, when: string): Promise<void> => {
  const { producer, verify } = environment;
  const delivery: Record<string, unknown> = { ...(await producer.delivery()) };
  const explained = ['since', 'code', 'reason'].every(
    (field) => typeof delivery[field] === 'string',
  );
  verify(
    delivery.state === 'suspended' && explained,
    `${when} the delivery status was ${JSON.stringify(delivery)}`,
  );
};

/**
 * How many requests an outage explains: those in flight when it began, then one probe at a time, first
 * after one second, then after two. Doubled, because a busy machine delays the workers.
 */
const maxRequests = ({ concurrency }: Environment, outageMs: number): number =>
  2 * WORKERS * concurrency + 2 * Math.ceil(outageMs / 1_000);

export const seekDown: Scenario = {
  name: 'seek-down',
  load: 1,
  inShortRun: true,
  env: { SEEK_TIMEOUT_MS: '2000' },
  run: async (environment) => {
    const { producer, workers, buildSignals, seek, seekProxy, history, concurrency } = environment;
    const { scale, pause, startApi, verify } = environment;
    deliverSlowly(environment, 50, 300);
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(scale(400, 150)));
    const outageMs = scale(18_000, 4_000);
    const max = maxRequests(environment, outageMs);

    const runOutage = async (fault: string, begin: () => void) => {
      const [connected, arrived] = [seekProxy.countConnected(), history.arrivals.length];
      begin();
      await producer.enqueueUntilAccepted(buildSignals(20));
      await pause(outageMs);
      await verifySuspended(environment, `while SEEK ${fault}`);
      const requests = Math.max(
        seekProxy.countConnected() - connected,
        history.arrivals.length - arrived,
      );
      verify(
        requests <= max,
        `${requests} requests while SEEK ${fault}; the circuit breaker explains ${max}`,
      );
      return requests;
    };
    const refused = await runOutage('refused connections', seekProxy.refuse);
    await runOutage('did not reply', () => {
      seekProxy.heal();
      seek.replyWith(neverReply);
    });
    await runOutage('answered 502', () =>
      seek.replyWith(() => ({ name: 'HTTP_502', processed: false, answer: html(502) })),
    );
    deliverSlowly(environment, 20, 100);

    // Cutting the connections lost requests on their way to SEEK, and confirmations on their way back.
    return () => ({
      duplicates: WORKERS * concurrency,
      unreached: Math.min(refused, max) + WORKERS * concurrency,
    });
  },
};

export const tokensDown: Scenario = {
  name: 'tokens-down',
  load: 1,
  inShortRun: true,
  env: { SEEK_TIMEOUT_MS: '3000' },
  run: async (environment) => {
    const { producer, workers, buildSignals, seek, history } = environment;
    const { scale, pause, startApi, verify, waitUntil } = environment;
    deliverSlowly(environment, 50, 300);
    // Workers renew such a token every two seconds, so they soon need the endpoint.
    seek.setTokenLifetime(4);
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(scale(300, 150)));
    const outageMs = scale(15_000, 5_000);
    const max = maxRequests(environment, outageMs);

    const failures = [html(503), empty(500), hang()];
    seek.answerTokenRequestsWith((number) => failures[number % failures.length] ?? hang());
    // The current tokens stay valid for two seconds. Then new signals need the endpoint.
    await pause(3_000);
    const before = seek.tokenRequests.length;
    await producer.enqueueUntilAccepted(buildSignals(50));
    await pause(outageMs);
    await verifySuspended(environment, 'while the token endpoint failed');
    const tokenRequests = seek.tokenRequests.length - before;
    verify(
      tokenRequests <= max,
      `${tokenRequests} token requests during the outage; the circuit breaker explains ${max}`,
    );
    seek.answerTokenRequestsWith();
    await waitUntil(async () => (await producer.delivery()).state === 'running', 20_000);

    // The endpoint issues tokens again, and SEEK rejects them all.
    seek.replyWith(() => refuse('UNAUTHENTICATED'));
    await producer.enqueueUntilAccepted(buildSignals(50));
    const arrived = history.arrivals.length;
    await pause(outageMs);
    await verifySuspended(environment, 'while SEEK rejected every token');
    const rejected = history.arrivals.length - arrived;
    verify(
      rejected <= 2 * max,
      `SEEK rejected ${rejected} requests; the circuit breaker explains ${2 * max}`,
    );
    deliverSlowly(environment, 20, 100);

    return () => ({});
  },
};

export const seekSlow: Scenario = {
  name: 'seek-slow',
  load: 1,
  inShortRun: true,
  env: { SEEK_TIMEOUT_MS: '800' },
  run: async (environment) => {
    const { producer, workers, buildSignals, seek, random, history } = environment;
    const { scale, pause, startApi } = environment;
    // SEEK processes every request, and half of its replies come after the worker's timeout.
    seek.replyWith((request) => {
      const dice = random.of(request.marks[0] ?? '', request.nth);
      return deliver(
        request,
        dice.chance(0.5) ? dice.between(300, 500) : dice.between(1_100, 1_500),
      );
    });
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(scale(200, 60)));
    await pause(scale(25_000, 6_000));
    deliverSlowly(environment, 20, 100);

    // On a busy machine a worker also gives up a few replies that SEEK has sent.
    return () => ({ duplicates: history.countUnanswered() + 10 });
  },
};

export const seekHalfOpen: Scenario = {
  name: 'seek-half-open',
  load: 1,
  inShortRun: true,
  env: { SEEK_TIMEOUT_MS: '2000' },
  run: async (environment) => {
    const { producer, workers, buildSignals, seekProxy, history, concurrency } = environment;
    const { scale, startApi, waitUntil } = environment;
    deliverSlowly(environment, 50, 300);
    await startApi();
    await workers.start(WORKERS);
    const rounds = scale(4, 2);
    for (let round = 0; round < rounds; round += 1) {
      const before = history.arrivals.length;
      await producer.enqueueUntilAccepted(buildSignals(100));
      await waitUntil(() => history.arrivals.length > before + 20, 30_000);
      seekProxy.vanish();
    }

    const lost = rounds * WORKERS * concurrency;
    return () => ({ duplicates: lost, unreached: lost });
  },
};

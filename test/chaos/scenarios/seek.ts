import { empty, hang, html } from '../../support/scriptedSeek.ts';
import type { Stage } from '../environment.ts';
import type { Scenario } from '../scenario.ts';
import { refuse, silence, take } from '../verdicts.ts';
import { takeSlowly } from './takeSlowly.ts';

const WORKERS = 3;

/** While SEEK is away everybody waits, and somebody knows why. */
const demandClosed = async ({ ats, demand }: Stage, when: string): Promise<void> => {
  const { delivery } = await ats.status();
  const told = ['since', 'code', 'reason'].every((field) => typeof delivery[field] === 'string');
  demand(
    delivery.state === 'suspended' && told,
    `${when} the lane was ${JSON.stringify(delivery)}`,
  );
};

/**
 * What was under way when SEEK went away, and then one probe at a time with growing pauses: a second,
 * then two. Twice as many are let pass, for a machine under stress measures badly.
 */
const fewTries = ({ concurrency }: Stage, ms: number): number =>
  2 * WORKERS * concurrency + 2 * Math.ceil(ms / 1_000);

export const seekDown: Scenario = {
  ...{ name: 'seek-down', load: 1, inShort: true, env: { SEEK_TIMEOUT_MS: '2000' } },
  play: async (stage) => {
    const { ats, crew, makeSignals, seek, seekRoad, history, scale, last, startApi } = stage;
    const { concurrency } = stage;
    takeSlowly(stage, 50, 300);
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(scale(400, 150)));
    const phaseMs = scale(18_000, 4_000);

    const phase = async (name: string, begin: () => void) => {
      const [asked, arrived] = [seekRoad.asked(), history.arrivals.length];
      begin();
      await ats.insist(makeSignals(20));
      await last(phaseMs);
      await demandClosed(stage, `while SEEK ${name}`);
      const tries = Math.max(seekRoad.asked() - asked, history.arrivals.length - arrived);
      const few = fewTries(stage, phaseMs);
      stage.demand(tries <= few, `${tries} tries while SEEK ${name}; the lane explains ${few}`);
      return tries;
    };
    const refused = await phase('refused connections', seekRoad.refuse);
    await phase('was silent', () => {
      seekRoad.heal();
      seek.behave(silence);
    });
    await phase('answered 502', () =>
      seek.behave(() => ({ name: 'HTTP_502', took: false, answer: html(502) })),
    );
    takeSlowly(stage, 20, 100);

    // When the connections were cut, requests were on their way out, and SEEK's yes on its way back.
    return () => ({
      duplicates: WORKERS * concurrency,
      unseen: Math.min(refused, fewTries(stage, phaseMs)) + WORKERS * concurrency,
    });
  },
};

export const tokensDown: Scenario = {
  ...{ name: 'tokens-down', load: 1, inShort: true, env: { SEEK_TIMEOUT_MS: '3000' } },
  play: async (stage) => {
    const { ats, crew, makeSignals, seek, history, scale, last, startApi, demand } = stage;
    takeSlowly(stage, 50, 300);
    // Renewed every two seconds, so that it is soon missed.
    seek.tokensLive(4);
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(scale(300, 150)));
    const phaseMs = scale(15_000, 5_000);
    const few = fewTries(stage, phaseMs);

    const failures = [html(503), empty(500), hang()];
    seek.answerTokens((number) => failures[number % failures.length] ?? hang());
    // What is held is good for two seconds more, and then there is something to send again.
    await last(3_000);
    const asked = seek.tokenRequests.length;
    await ats.insist(makeSignals(50));
    await last(phaseMs);
    await demandClosed(stage, 'while there were no partner tokens');
    const tries = seek.tokenRequests.length - asked;
    demand(tries <= few, `${tries} times a token was asked for; the lane explains ${few}`);
    seek.answerTokens();
    await stage.until(async () => (await ats.status()).delivery.state === 'running', 20_000);

    // Fresh tokens, and SEEK likes none of them.
    seek.behave(() => refuse('UNAUTHENTICATED'));
    await ats.insist(makeSignals(50));
    const arrived = history.arrivals.length;
    await last(phaseMs);
    await demandClosed(stage, 'while SEEK rejected every token');
    const rejected = history.arrivals.length - arrived;
    demand(rejected <= 2 * few, `${rejected} requests were rejected; the lane explains ${2 * few}`);
    takeSlowly(stage, 20, 100);

    return () => ({});
  },
};

export const seekSlow: Scenario = {
  ...{ name: 'seek-slow', load: 1, inShort: true, env: { SEEK_TIMEOUT_MS: '800' } },
  play: async (stage) => {
    const { ats, crew, makeSignals, seek, random, history, scale, last, startApi } = stage;
    // It takes everything, and half of the time nobody waits so long to hear it.
    seek.behave((request) => {
      const dice = random.of(request.marks[0] ?? '', request.nth);
      return take(request, dice.chance(0.5) ? dice.between(300, 500) : dice.between(1_100, 1_500));
    });
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(scale(200, 60)));
    await last(scale(25_000, 6_000));
    takeSlowly(stage, 20, 100);

    // On a busy machine a worker lets go of a few answers that are already on their way.
    return () => ({ duplicates: history.unheardTakings() + 10 });
  },
};

export const seekHalfOpen: Scenario = {
  ...{ name: 'seek-half-open', load: 1, inShort: true, env: { SEEK_TIMEOUT_MS: '2000' } },
  play: async (stage) => {
    const { ats, crew, makeSignals, seekRoad, history, scale, startApi, concurrency } = stage;
    takeSlowly(stage, 50, 300);
    await startApi();
    await crew.hire(WORKERS);
    const rounds = scale(4, 2);
    for (let round = 0; round < rounds; round += 1) {
      const before = history.arrivals.length;
      await ats.insist(makeSignals(100));
      await stage.until(() => history.arrivals.length > before + 20, 30_000);
      seekRoad.vanish();
    }

    const lost = rounds * WORKERS * concurrency;
    return () => ({ duplicates: lost, unseen: lost });
  },
};

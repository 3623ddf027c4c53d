import { Hono } from 'hono';
import {
  type BodyHolder,
  countBodies,
  createBodyBudget,
} from '../../../src/producer/api/bodyBudget.ts';
import { readBody } from '../../../src/producer/api/readRequest.ts';

const MIB = 1024 * 1024;

const setup = () => {
  const budget = createBodyBudget({ max: 1_000, reserved: 200, small: 100 });
  const app = new Hono<BodyHolder>();
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  app.use(countBodies(budget));
  app.post('/', async (c) => {
    const { byteLength } = await readBody(c, 1);
    if (c.req.query('wait') !== undefined) await finished;
    return c.json({ byteLength });
  });
  app.onError((err, c) => c.text(err.name, 'status' in err ? 413 : 503));
  const post = async (size: number, { path = '/', declared = true } = {}) => {
    const headers = declared ? { 'content-length': String(size) } : new Headers();
    const answer = await app.request(path, { method: 'POST', body: 'x'.repeat(size), headers });
    return answer.status;
  };
  return { budget, post, finish: () => finish() };
};

describe('createBodyBudget', () => {
  it('large bodies that fill the budget → the next is refused, and a small one is not', () => {
    const { hold } = createBodyBudget({ max: 1_000, reserved: 200, small: 100 });

    expect(hold().take(800)).toBe(true);
    expect(hold().take(101)).toBe(false);
    expect(hold().take(100)).toBe(true);
    expect(hold().take(100)).toBe(true);
    expect(hold().take(1)).toBe(false);
  });

  it('a body that grows in steps → counted as large once it is large', () => {
    const { hold } = createBodyBudget({ max: 1_000, reserved: 200, small: 100 });
    hold().take(750);
    const growing = hold();

    expect([growing.take(100), growing.take(1)]).toEqual([true, false]);
  });

  it('released → its bytes are free again, once', () => {
    const { hold } = createBodyBudget({ max: 1_000, reserved: 200, small: 100 });
    const held = hold();
    held.take(800);
    held.release();
    held.release();

    expect([hold().take(800), hold().take(800)]).toEqual([true, false]);
  });
});

describe('bodies in flight', () => {
  it.each([true, false])(
    'over the budget, length declared: %p → 503, until the others are answered',
    async (declared) => {
      const { post, finish } = setup();
      const first = post(700, { path: '/?wait', declared });

      expect(await post(200, { declared })).toBe(503);
      expect(await post(50, { declared })).toBe(200);
      finish();
      expect(await first).toBe(200);
      expect(await post(700, { declared })).toBe(200);
    },
  );

  it('a declared length over the limit of the route → 413 without counting', async () => {
    const { post } = setup();

    expect(await post(MIB + 1)).toBe(413);
    expect(await post(800)).toBe(200);
  });

  it('a request that fails → its bytes are free again', async () => {
    const { post } = setup();

    expect(await post(900)).toBe(503);
    expect(await post(2 * MIB, { declared: false })).toBe(413);
    expect(await post(800)).toBe(200);
  });
});

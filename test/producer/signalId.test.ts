import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { canonical, identify } from '../../src/producer/signalId.ts';
import { accepted } from '../schemas/parse.ts';
import { buildApplicationComplete, buildSignal } from '../support/buildSignal.ts';

type Vectors = {
  namespaces: { content: string; idempotencyKey: string };
  signals: { name: string; signal: unknown; canonical: string; signalId: string }[];
  idempotencyKeys: {
    name: string;
    scope: string;
    key: string;
    canonical: string;
    signalId: string;
  }[];
};

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/signalIds.json', import.meta.url), 'utf8'),
);
const { namespaces, signals, idempotencyKeys } = vectors;

/** UUID version 5 (RFC 9562, 5.5), independent of the library under test. */
const uuidV5 = (name: string, namespace: string): string => {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
    .subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};

describe('the published test vectors', () => {
  it.each(signals)('$name → the published signalId', (vector) => {
    const signal = accepted(vector.signal);

    expect(canonical(signal)).toBe(vector.canonical);
    expect(identify(signal).signalId).toBe(vector.signalId);
    expect(uuidV5(vector.canonical, namespaces.content)).toBe(vector.signalId);
  });

  it.each(idempotencyKeys)(
    'Idempotency-Key: $name → the published signalId',
    ({ scope, key, canonical: text, signalId }) => {
      expect(identify(accepted(buildSignal()), { scope, key }).signalId).toBe(signalId);
      expect(uuidV5(text, namespaces.idempotencyKey)).toBe(signalId);
    },
  );

  it('vectors → contain equal signals in several notations', () => {
    const writings = (text: string) => signals.filter((vector) => vector.canonical === text).length;

    expect(
      signals.filter((vector) => writings(vector.canonical) > 1).length,
    ).toBeGreaterThanOrEqual(6);
  });

  it('different signals → different ids', () => {
    const different = new Set([...signals, ...idempotencyKeys].map((vector) => vector.canonical));
    const ids = new Set([...signals, ...idempotencyKeys].map(({ signalId }) => signalId));

    expect(ids.size).toBe(different.size);
  });
});

describe('identify', () => {
  it('no idempotency key → signalId equals contentId', () => {
    const { signalId, contentId } = identify(accepted(buildSignal()));

    expect(contentId).toBe(signalId);
  });

  it('same idempotency key, other content → same signalId, other contentId', () => {
    const idempotency = { scope: 'careers-site', key: 'order-17' };
    const [one, other] = [buildSignal(), buildSignal({ token: 'seek-token-2' })].map((signal) =>
      identify(accepted(signal), idempotency),
    );

    expect(other?.signalId).toBe(one?.signalId);
    expect(other?.contentId).not.toBe(one?.contentId);
  });

  it.each([
    { change: { token: 'Seek-token-1' } },
    { change: { timestamp: '2026-03-01T10:00:00Z' } },
    { change: { token: 'seek-token-1\u0301' } },
  ])('change $change → another signalId', ({ change }) => {
    const plain = identify(accepted(buildApplicationComplete()));
    const changed = identify(accepted(buildApplicationComplete(change)));

    expect(changed.signalId).not.toBe(plain.signalId);
  });

  it('idempotency key with a lone surrogate → accepted', () => {
    const { signalId } = identify(accepted(buildSignal()), { scope: 's', key: '\ud83d' });

    expect(signalId).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});

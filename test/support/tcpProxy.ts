import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delayed } from 'node:timers/promises';

/** `up`: from the client to the target. */
export type Direction = 'up' | 'down';

type Options = {
  /** Sees every chunk as it comes in, before it is forwarded or swallowed. */
  onData?: (direction: Direction, chunk: Buffer) => void;
};

type Pair = { client: Socket; target: Socket | undefined; vanished: boolean };

/** A network between a client and a loopback port, which a test can hurt. */
export const startTcpProxy = async (targetPort: number, { onData }: Options = {}) => {
  const pairs = new Set<Pair>();
  let port = targetPort;
  let delayMs = 0;
  let swallowing = false;

  const forward = (direction: Direction, from: Socket, to: Socket, pair: Pair): void => {
    // One after the other, so that a shorter delay does not overtake a longer one.
    let last: Promise<unknown> = Promise.resolve();
    const inOrder = (due: number, act: () => void): void => {
      last = last.then(async () => {
        const wait = due - Date.now();
        if (wait > 0) await delayed(wait);
        // Asked now: what was on its way when the packets vanished is lost with them.
        if (!pair.vanished) act();
      });
    };
    from.on('data', (chunk: Buffer) => {
      onData?.(direction, chunk);
      inOrder(Date.now() + delayMs, () => to.writable && to.write(chunk));
    });
    from.on('end', () => inOrder(Date.now() + delayMs, () => to.end()));
    from.on('close', () => inOrder(Date.now() + delayMs, () => to.destroySoon()));
  };

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const target = swallowing ? undefined : connect({ port, host: '127.0.0.1' });
    const pair: Pair = { client, target, vanished: swallowing };
    pairs.add(pair);
    for (const socket of [client, target]) {
      socket?.on('error', () => {});
      socket?.on('close', () => {
        if (client.destroyed && (target === undefined || target.destroyed)) pairs.delete(pair);
      });
    }
    if (target === undefined) {
      client.on('data', (chunk) => onData?.('up', Buffer.from(chunk)));
      return;
    }
    forward('up', client, target, pair);
    forward('down', target, client, pair);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const cut = (): void => {
    for (const { client, target } of pairs) {
      client.resetAndDestroy();
      target?.resetAndDestroy();
    }
  };

  return {
    port: address.port,
    /** How many connections are open, those whose packets vanish included. */
    connections: (): number => pairs.size,
    /**
     * Half-open from now on: nothing of what either side of the present connections says or closes
     * reaches the other. New connections are forwarded, or swallowed as well.
     */
    vanish: ({ newToo = false } = {}): void => {
      swallowing = newToo;
      for (const pair of pairs) pair.vanished = true;
    },
    /** Resets all present connections, on both sides. */
    cut,
    /** From now on every chunk takes this long, each way. */
    delay: (ms: number): void => {
      delayMs = ms;
    },
    /** New connections are forwarded, without delay. What vanished stays so: its bytes are lost. */
    heal: (): void => {
      swallowing = false;
      delayMs = 0;
    },
    /** New connections lead there. */
    retarget: (next: number): void => {
      port = next;
    },
    stop: async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
};

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>;

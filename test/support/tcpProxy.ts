import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delayed } from 'node:timers/promises';

/**
 * Sees what a client sends, before it is passed on. `hold`: the client hears no more answers. `drop`:
 * nothing is passed on either, this included.
 */
export type OnData = (text: string, link: { hold: () => void; drop: () => void }) => void;

type Pair = {
  client: Socket;
  target: Socket | undefined;
  /** Neither side hears the other any more, and neither is told. */
  vanished: boolean;
  /** The client hears the target no more. */
  held: boolean;
};

// One that is still connecting would wait for its connection first, and for ever if none comes.
const reset = (socket: Socket): void => {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
};

/** A network between a client and a loopback port, which a test can hurt. */
export const startTcpProxy = async (targetPort: number) => {
  const pairs = new Set<Pair>();
  let port = targetPort;
  let delayMs = 0;
  let swallowing = false;
  let refusing = false;
  let asked = 0;
  let onData: OnData | undefined;

  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    const isAnswer = to === pair.client;
    // One after the other, so that a shorter delay does not overtake a longer one.
    let last: Promise<unknown> = Promise.resolve();
    const inOrder = (due: number, act: () => void): void => {
      last = last.then(async () => {
        const wait = due - Date.now();
        if (wait > 0) await delayed(wait);
        // Asked now: what was on its way when the packets vanished is lost with them.
        if (!pair.vanished && !(isAnswer && pair.held)) act();
      });
    };
    from.on('data', (chunk: Buffer) => {
      if (!isAnswer) {
        onData?.(chunk.toString('latin1'), {
          hold: () => {
            pair.held = true;
          },
          drop: () => {
            pair.vanished = true;
          },
        });
      }
      inOrder(Date.now() + delayMs, () => to.writable && to.write(chunk));
    });
    from.on('end', () => inOrder(Date.now() + delayMs, () => to.end()));
    from.on('close', () => inOrder(Date.now() + delayMs, () => to.destroySoon()));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    asked += 1;
    if (refusing) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const target = swallowing ? undefined : connect({ port, host: '127.0.0.1', noDelay: true });
    const pair: Pair = { client, target, vanished: swallowing, held: false };
    pairs.add(pair);
    for (const socket of [client, target]) {
      socket?.on('error', () => {});
      socket?.on('close', () => {
        if (client.destroyed && (target === undefined || target.destroyed)) pairs.delete(pair);
      });
    }
    if (target === undefined) {
      client.resume();
      return;
    }
    forward(pair, client, target);
    forward(pair, target, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const cut = (): void => {
    for (const { client, target } of pairs) {
      reset(client);
      if (target !== undefined) reset(target);
    }
  };

  return {
    port: address.port,
    /** How many connections were asked for, refused ones included. */
    asked: (): number => asked,
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
    /** Resets all present connections, and every new one. */
    refuse: (): void => {
      refusing = true;
      cut();
    },
    watch: (next: OnData | undefined): void => {
      onData = next;
    },
    /** From now on every chunk takes this long, each way. */
    delay: (ms: number): void => {
      delayMs = ms;
    },
    /** New connections are forwarded, without delay. What vanished stays so: its bytes are lost. */
    heal: (): void => {
      refusing = false;
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

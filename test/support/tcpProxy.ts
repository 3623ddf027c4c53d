import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delayed } from 'node:timers/promises';

/**
 * Called with what a client sends, before the proxy forwards it. `hold`: the client gets no more answers.
 * `drop`: nothing is forwarded in either direction, this chunk included.
 */
type OnData = (text: string, link: { hold: () => void; drop: () => void }) => void;

type Pair = {
  client: Socket;
  target: Socket | undefined;
  /** Packets vanish in both directions, and both connections stay open. */
  vanished: boolean;
  /** Packets from the target to the client vanish. */
  held: boolean;
};

// `resetAndDestroy` on a connecting socket waits for the connection, possibly without end.
const reset = (socket: Socket): void => {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
};

/** A TCP proxy in front of a loopback port. A test can delay, cut or lose its connections. */
export const startTcpProxy = async (targetPort: number) => {
  const pairs = new Set<Pair>();
  let port = targetPort;
  let delayMs = 0;
  let swallowing = false;
  let refusing = false;
  let connected = 0;
  let onData: OnData | undefined;

  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    const isAnswer = to === pair.client;
    // In sequence: a chunk with a shorter delay must not overtake an earlier one.
    let last: Promise<unknown> = Promise.resolve();
    const inOrder = (due: number, act: () => void): void => {
      last = last.then(async () => {
        const wait = due - Date.now();
        if (wait > 0) await delayed(wait);
        // Checked after the delay: chunks in flight when the packets vanish are lost, too.
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
    connected += 1;
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
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port');

  const cut = (): void => {
    for (const { client, target } of pairs) {
      reset(client);
      if (target !== undefined) reset(target);
    }
  };

  return {
    port: address.port,
    /** How many connections clients have made so far, refused ones included. */
    countConnected: (): number => connected,
    /** How many connections are open, including those whose packets vanish. */
    connections: (): number => pairs.size,
    /**
     * Makes the current connections half-open: data and closing no longer reach the other side. With
     * `newToo`, new connections are accepted but not forwarded.
     */
    vanish: ({ newToo = false } = {}): void => {
      swallowing = newToo;
      for (const pair of pairs) pair.vanished = true;
    },
    /** Resets all current connections, on both sides. */
    cut,
    /** Resets all current connections, and every new one. */
    refuse: (): void => {
      refusing = true;
      cut();
    },
    watch: (next: OnData | undefined): void => {
      onData = next;
    },
    /** Delays every chunk by `ms`, in both directions. */
    delay: (ms: number): void => {
      delayMs = ms;
    },
    /** Forwards new connections again, without delay. Half-open connections stay so. */
    heal: (): void => {
      refusing = false;
      swallowing = false;
      delayMs = 0;
    },
    /** Forwards new connections to the port `next`. */
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

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

type Link = {
  caller: Socket;
  target: Socket;
  /** Neither side hears the other any more, and neither is told. */
  vanished: boolean;
  /** What the target says is kept from the caller. */
  held: boolean;
};

/**
 * Sees what a caller sends, before it is passed on. `hold`: the caller gets no more answers.
 * `drop`: nothing is passed on either, this included.
 */
export type OnData = (text: string, link: { hold: () => void; drop: () => void }) => void;

/** A road between processes that can be made bad: reset, delayed, half-open. */
export const startProxy = async (targetPort: number) => {
  const links = new Set<Link>();
  let refuses = false;
  let delayMs = 0;
  let onData: OnData | undefined;
  let asked = 0;

  const carry = (link: Link, from: Socket, to: Socket) => {
    const isAnswer = from === link.target;
    from.on('data', (chunk: Buffer) => {
      if (!isAnswer) {
        onData?.(chunk.toString('latin1'), {
          hold: () => {
            link.held = true;
          },
          drop: () => {
            link.vanished = true;
          },
        });
      }
      if (link.vanished || (isAnswer && link.held)) return;
      if (delayMs === 0) to.write(chunk);
      else setTimeout(() => !link.vanished && to.writable && to.write(chunk), delayMs);
    });
    from.on('error', () => {});
    from.on('close', () => {
      // The end of one side is not heard on the other, either.
      if (link.vanished) return;
      links.delete(link);
      to.destroy();
    });
  };

  const server = createServer({ noDelay: true }, (caller) => {
    asked += 1;
    caller.on('error', () => {});
    if (refuses) {
      caller.resetAndDestroy();
      return;
    }
    const target = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const link = { caller, target, vanished: false, held: false };
    links.add(link);
    carry(link, caller, target);
    carry(link, target, caller);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const cut = (): void => {
    for (const { caller, target } of links) {
      caller.resetAndDestroy();
      target.destroy();
    }
    links.clear();
  };

  return {
    port: address.port,
    /** How many connections were asked for, refused ones included. */
    asked: () => asked,
    /** Ends every connection there is, and resets every new one. */
    refuse: () => {
      refuses = true;
      cut();
    },
    /** Every connection there is turns half-open. New ones are welcome. */
    vanish: () => {
      for (const link of links) link.vanished = true;
    },
    delay: (ms: number) => {
      delayMs = ms;
    },
    /** New connections work. Those that were lost stay lost. */
    heal: () => {
      refuses = false;
      delayMs = 0;
    },
    watch: (next: OnData | undefined) => {
      onData = next;
    },
    close: async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
};

export type Proxy = Awaited<ReturnType<typeof startProxy>>;

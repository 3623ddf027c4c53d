import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why this machine cannot make network namespaces; `undefined` if it can. */
export const whyNoNetworks = (): string | undefined => {
  const name = `seek-${process.pid}-try`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' });
    return undefined;
  } catch (err) {
    const reason = err instanceof Error ? err.message.trim().replace(/\s+/g, ' ') : String(err);
    return `network namespaces need root, CAP_NET_ADMIN, CAP_SYS_ADMIN and iproute2 (${reason})`;
  }
};

// No host has this hardware address, so packets to it vanish.
const NOWHERE = '02:00:00:00:00:01';

/**
 * Two networks of one host each. The test and the processes it starts reach both. The hosts reach each
 * other until `cut`: from then on the packets between them vanish, and both still answer the test.
 */
export const startNetworks = async () => {
  // Random, because one process may start several. Addresses that are reserved for tests of networks.
  const id = randomInt(256 * 32);
  const subnet = `198.18.${id >> 5}`;
  const first = (id & 31) * 8;
  const hosts = ['a', 'b'].map((letter, index) => ({
    name: `seek-${process.pid}-${id}-${letter}`,
    // An interface has a name of at most 15 characters.
    uplink: `seek${id}${letter}`,
    gateway: `${subnet}.${first + 4 * index + 1}`,
    address: `${subnet}.${first + 4 * index + 2}`,
  }));
  const [a, b] = hosts;
  if (a === undefined || b === undefined) throw new Error('Expected two hosts');
  const ip = (...args: string[]) => run('ip', args);
  const pairs = [
    { host: a, peer: b },
    { host: b, peer: a },
  ];
  const children: ChildProcess[] = [];

  const stop = async (): Promise<void> => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    // The interfaces go with the namespaces.
    for (const { name } of hosts) await ip('netns', 'del', name).catch(() => {});
  };

  const build = async (): Promise<void> => {
    for (const { name } of hosts) await ip('netns', 'add', name);
    for (const { name, uplink, gateway, address } of hosts) {
      await ip('link', 'add', uplink, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', name);
      await ip('addr', 'add', `${gateway}/30`, 'dev', uplink);
      await ip('link', 'set', uplink, 'up');
      await ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', 'uplink');
      await ip('-n', name, 'link', 'set', 'uplink', 'up');
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip(
      '-n',
      a.name,
      'link',
      'add',
      'peer',
      'type',
      'veth',
      'peer',
      'name',
      'peer',
      'netns',
      b.name,
    );
    for (const { host, peer } of pairs) {
      await ip('-n', host.name, 'link', 'set', 'peer', 'up');
      await ip('-n', host.name, 'route', 'add', peer.address, 'dev', 'peer', 'src', host.address);
    }
  };
  await build().catch(async (err: unknown) => {
    await stop();
    throw err;
  });

  const hostOf = ({ name, address }: (typeof hosts)[number]) => ({
    address,
    spawn: (command: string, args: readonly string[]): ChildProcess => {
      const child = spawn('ip', ['netns', 'exec', name, command, ...args], { stdio: 'ignore' });
      children.push(child);
      return child;
    },
  });

  return {
    first: hostOf(a),
    second: hostOf(b),
    cut: async (): Promise<void> => {
      for (const { host, peer } of pairs) {
        const neighbour = [peer.address, 'lladdr', NOWHERE, 'dev', 'peer', 'nud', 'permanent'];
        await ip('-n', host.name, 'neigh', 'replace', ...neighbour);
      }
    },
    heal: async (): Promise<void> => {
      for (const { host, peer } of pairs) {
        await ip('-n', host.name, 'neigh', 'del', peer.address, 'dev', 'peer');
      }
    },
    stop,
  };
};

export type Networks = Awaited<ReturnType<typeof startNetworks>>;

import { type Config, loadConfig } from '../../config/config.ts';
import { readOutbox } from '../../producer/outbox/rows.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { openAdminClient } from '../admin/openAdminClient.ts';
import { renderLife, renderStatus } from '../io/render.ts';
import { printable, printableJson } from '../io/terminal.ts';

export type Output = { json?: boolean };

/** Prints an answer: for a program or for a person. */
export const print = <Answer>(
  answer: Answer,
  { json }: Output,
  render: (answer: Answer) => string,
): void => {
  process.stdout.write(`${json ? printableJson(answer) : printable(render(answer))}\n`);
};

export const complain = (message: string): void => {
  process.stderr.write(`${printable(message)}\n`);
};

/** Opens the desk for one piece of work, and closes it whatever comes of that. */
export const withAdminClient = async (
  env: NodeJS.ProcessEnv,
  work: (admin: AdminClient, config: Config) => Promise<number>,
): Promise<number> => {
  const config = loadConfig(env);
  const admin = await openAdminClient(config);
  try {
    return await work(admin, config);
  } finally {
    await admin.close();
  }
};

/** `seek-signals status` */
export const status = (env: NodeJS.ProcessEnv, output: Output): Promise<number> =>
  withAdminClient(env, async (admin, { DATABASE_URL }) => {
    const queue = await admin.status();
    const outbox = DATABASE_URL === undefined ? undefined : await readOutbox(DATABASE_URL);
    const isRead = outbox?.kind !== 'unreadable';
    print(
      { ...queue, ...(outbox?.kind === 'read' ? { outbox: outbox.reading } : {}) },
      output,
      renderStatus,
    );
    if (!isRead) complain(`The outbox can not be read: ${outbox.reason}`);
    return isRead ? 0 : 1;
  });

/** `seek-signals show SIGNAL_ID` */
export const show = (env: NodeJS.ProcessEnv, signalId: string, output: Output): Promise<number> =>
  withAdminClient(env, async (admin) => {
    const record = await admin.find(signalId);
    if (record === undefined) {
      complain(
        `No signal ${signalId} is kept: it was never accepted here, or was settled long ago`,
      );
      return 1;
    }
    print(record, output, renderLife);
    return 0;
  });

import { readOutbox } from '../../producer/outbox/rows.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { renderSignal, renderStatus } from '../io/render.ts';

/** `seek-signals status` */
export const status = (env: NodeJS.ProcessEnv, output: OutputOptions): Promise<number> =>
  withAdminClient(env, 'status', async (admin, { DATABASE_URL }) => {
    const queue = await admin.status();
    const outbox = DATABASE_URL === undefined ? undefined : await readOutbox(DATABASE_URL);
    const isRead = outbox?.kind !== 'unreadable';
    printResult(
      { ...queue, ...(outbox?.kind === 'read' ? { outbox: outbox.reading } : {}) },
      output,
      renderStatus,
    );
    if (!isRead) printMessage(`Failed to read the outbox: ${outbox.reason}`);
    return isRead ? 0 : 1;
  });

/** `seek-signals show SIGNAL_ID` */
export const show = (
  env: NodeJS.ProcessEnv,
  signalId: string,
  output: OutputOptions,
): Promise<number> =>
  withAdminClient(env, 'show', async (admin) => {
    const record = await admin.find(signalId);
    if (record === undefined) {
      printMessage(
        `Signal ${signalId} not found: it was never accepted here, or its record has expired`,
      );
      return 1;
    }
    printResult(record, output, renderSignal);
    return 0;
  });

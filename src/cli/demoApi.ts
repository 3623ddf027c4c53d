import type { SignalInput } from '../schemas/signal.ts';
import type { SignalLife } from '../schemas/states.ts';

/** The HTTP API, as an ATS would call it. */
export const createApi = (apiUrl: string, apiKey: string) => {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };

  const post = async (body: unknown, path = '/signals') => {
    const answer = await fetch(`${apiUrl}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    const answered: Record<string, unknown> = JSON.parse(await answer.text());
    return { status: answer.status, body: answered };
  };

  return {
    post,
    send: async (signal: SignalInput): Promise<string> => {
      const { status, body } = await post(signal);
      if (status !== 202) throw new Error(`Not accepted: HTTP ${status} ${JSON.stringify(body)}`);
      return String(body.signalId);
    },
    redrive: async (signalId: string): Promise<void> => {
      const { status } = await post({}, `/dead-letters/${signalId}/redrive`);
      if (status !== 202) throw new Error(`Not redriven: HTTP ${status}`);
    },
    find: async (signalId: string): Promise<SignalLife | undefined> => {
      const answer = await fetch(`${apiUrl}/signals/${signalId}`, { headers });
      if (answer.status === 404) return undefined;
      const life: SignalLife = JSON.parse(await answer.text());
      return life;
    },
  };
};

export type Api = ReturnType<typeof createApi>;

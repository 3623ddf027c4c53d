import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

type Request = { url: string; originalUrl?: string };
type Instance = {
  decorateRequest: (name: 'seekToken') => unknown;
  addHook: (
    name: 'onRequest',
    hook: (request: Request, reply: unknown, done: () => void) => void,
  ) => unknown;
};

/** What the plugin adds to a request; `declare module 'fastify'` with it, for TypeScript's sake. */
export type WithSeekToken = { seekToken: SeekTokenReading | undefined };

const plugin = (instance: Instance, _options: unknown, done: () => void): void => {
  instance.decorateRequest('seekToken');
  instance.addHook('onRequest', (request, _reply, next) => {
    Object.assign(request, { seekToken: readSeekToken(request) });
    next();
  });
  done();
};

/** Fastify plugin: puts what `readSeekToken` finds on `request.seekToken`. */
export const seekToken = Object.assign(plugin, {
  // What fastify-plugin sets: it counts where it is registered, not only below.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'seek-token',
});

import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

type Request = { url: string; originalUrl?: string };
type Instance = {
  decorateRequest: (name: 'seekToken') => unknown;
  addHook: (
    name: 'onRequest',
    hook: (request: Request, reply: unknown, done: () => void) => void,
  ) => unknown;
};

/**
 * The field that the plugin adds to a request. In TypeScript, declare it:
 * `declare module 'fastify' { interface FastifyRequest extends WithSeekToken {} }`.
 */
export type WithSeekToken = {
  /** The seek token of the request's URL; `undefined` if it has none. */
  seekToken: SeekTokenReading | undefined;
};

const plugin = (instance: Instance, _options: unknown, done: () => void): void => {
  instance.decorateRequest('seekToken');
  instance.addHook('onRequest', (request, _reply, next) => {
    Object.assign(request, { seekToken: readSeekToken(request) });
    next();
  });
  done();
};

/**
 * Fastify plugin that sets `request.seekToken` to the seek token of the request's URL, read by
 * `readSeekToken`: `app.register(seekToken)`.
 */
export const seekToken = Object.assign(plugin, {
  // As fastify-plugin does: makes the hook apply to the instance that registers the plugin.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'seek-token',
});

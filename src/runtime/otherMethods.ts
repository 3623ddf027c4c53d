import type { Context, Env, Hono, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { METHOD_NAME_ALL } from 'hono/router';
import { TrieRouter } from 'hono/router/trie-router';

/**
 * Answers OPTIONS with the methods of the path, and any method that a known path lacks with 405. Paths that
 * an app serves for every method, and unknown paths, go on to the app. `OPTIONS /` is always answered: load
 * balancers send it as a health check.
 */
export const answerOtherMethods = <AppEnv extends Env>(
  app: Pick<Hono<AppEnv>, 'routes'>,
): MiddlewareHandler<AppEnv> => {
  // Built with the first request that needs it, when the app has all its routes.
  let router: ReturnType<typeof createMethodRouter> | undefined;

  return async (c, next) => {
    // Most requests end here, so that they cost no second match.
    if (matchedRoutes(c).some(({ method }) => method !== METHOD_NAME_ALL)) return next();
    const { method, path } = c.req;
    router ??= createMethodRouter(app.routes);
    const methods = router.match(METHOD_NAME_ALL, path)[0].flatMap(([allowed]) => allowed);
    const isOptions = method === 'OPTIONS';
    if (methods.length === 0 && !(isOptions && path === '/')) return next();
    const allow = [...new Set([...methods, 'OPTIONS'])].join(', ');
    return isOptions
      ? c.body(null, 204, { allow })
      : refuse(c, `${method} is not allowed here. Allowed: ${allow}`, allow);
  };
};

const refuse = (c: Context, message: string, allow: string): Response =>
  c.json({ message }, 405, { allow });

const createMethodRouter = (
  routes: readonly { method: string; path: string }[],
): TrieRouter<string[]> => {
  const router = new TrieRouter<string[]>();
  for (const { method, path } of routes) {
    if (method === METHOD_NAME_ALL) continue;
    // Hono answers HEAD with the headers of GET.
    router.add(METHOD_NAME_ALL, path, method === 'GET' ? ['GET', 'HEAD'] : [method]);
  }
  return router;
};

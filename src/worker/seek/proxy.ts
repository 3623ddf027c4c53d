import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { createPool } from './skipContinue.ts';

/** The proxy made no connection to SEEK, so nothing of the request was sent. Contains no credentials. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
}

type Options = {
  proxy: string;
  timeoutMs: number;
  connections: number;
  describeCause: (cause: unknown) => string;
};

/** Sends requests through a proxy, in tunnels that it makes with CONNECT and that stay open. */
export const createProxyAgent = ({ proxy, timeoutMs, connections, describeCause }: Options) => {
  const { host, username } = new URL(proxy);
  const clientFactory = (origin: URL, options: object): Dispatcher => {
    const pool = new Pool(origin, { ...options, headersTimeout: timeoutMs });
    const { connect } = pool;
    const openTunnel = (params: Dispatcher.ConnectOptions): Promise<Dispatcher.ConnectData> =>
      new Promise((resolve, reject) => {
        connect.call(pool, params, (err, answer) => {
          if (err !== null) {
            // undici would connect again and again if the proxy closes the connection.
            reject(new ProxyError(`proxy ${host}: ${describeCause(err)}`, { cause: err }));
            return;
          }
          const { statusCode: status, socket } = answer;
          if (status >= 200 && status <= 299) {
            resolve({ ...answer, statusCode: 200 });
            return;
          }
          socket.on('error', () => {}).destroy();
          reject(
            new ProxyError(`proxy ${host} answered ${describeStatus(status, username !== '')}`),
          );
        });
      });
    return Object.assign(pool, { connect: openTunnel });
  };
  return new ProxyAgent({
    uri: proxy,
    connections,
    clientFactory,
    // As without a proxy: see `createHttp`.
    factory: createPool,
    headersTimeout: 0,
    bodyTimeout: 0,
    proxyTls: { timeout: timeoutMs },
    requestTls: { timeout: timeoutMs },
  });
};

const describeStatus = (status: number, hasCredentials: boolean): string => {
  if (status === 407) {
    return hasCredentials
      ? '407: it refuses the user name and password'
      : '407: it requires a user name and password';
  }
  if (status === 403) return '403: it forbids the connection to SEEK';
  return status >= 500 ? `${status}: it cannot connect to SEEK` : `${status} to CONNECT`;
};

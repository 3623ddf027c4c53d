import { parse } from 'pg-connection-string';
import { PERCENT_ENCODE, type UrlProblems } from './urls.ts';

const EXPECTED = 'must be a URL: postgresql://host:5432/database';

// What node-postgres connects to: a URL, a URL of a socket, or `FOLDER DATABASE`.
const FORM = /^(?:postgres(?:ql)?:\/\/|socket:|\/)/;
// Parameters whose value may hold an @.
const FREE_TEXT = /^(?:user|password|host|options|application_name)$/;

/** The address of a PostgreSQL database, in every form that node-postgres takes. */
export const postgresUrlProblems = (text: string): UrlProblems => {
  if (!FORM.test(text)) return [EXPECTED];
  if (hasMisplacedAt(text)) return [PERCENT_ENCODE];
  const database = read(text);
  if (database === undefined) return [EXPECTED];
  const { host, port } = database;
  return [
    ...(host.includes(',') ? ['must name one host'] : []),
    ...(port === '' || isPort(port) ? [] : ['must have a port from 1 to 65535']),
    ...(text.includes('#') ? ['must have no fragment (#)'] : []),
  ];
};

/** The address as logs show it: without credentials and parameters, except for the folder of a socket. */
export const describePostgresUrl = (text: string): string => {
  const { host, port, database } = read(text) ?? { host: '', port: '', database: '' };
  const path = encodeURI(database);
  if (host.startsWith('/')) return `postgresql:///${path}?host=${encodeURI(host)}`;
  return `postgresql://${host.includes(':') ? `[${host}]` : host}${port && `:${port}`}/${path}`;
};

/**
 * Whether a /, ? or # in the password ended what the parser takes for the host, so that an @ follows. In the
 * parameters an @ has a meaning.
 */
const hasMisplacedAt = (text: string): boolean => {
  const [, rest = ''] = /^[^:]+:\/\/[^/?#]*(.*)$/s.exec(text) ?? [];
  const [path = '', ...query] = rest.split('?');
  if (path.includes('@') || (rest.includes('#') && rest.includes('@'))) return true;
  const parameters = [...new URLSearchParams(query.join('?'))];
  return parameters.some(
    ([name, value]) => name.includes('@') || (value.includes('@') && !FREE_TEXT.test(name)),
  );
};

const read = (text: string) => {
  try {
    // pg reads the files of these parameters and warns of some values. It does so again when it connects.
    const { host, port, database } = parse(text.replace(/(?<=[?&])ssl[a-z]+=[^&#]*&?/g, ''));
    return { host: host ?? '', port: port ?? '', database: database ?? '' };
  } catch {
    return undefined;
  }
};

const isPort = (text: string): boolean =>
  /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= 65_535;

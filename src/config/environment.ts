import { readFileSync } from 'node:fs';

import { textProblem } from './text.ts';
import { VARIABLES } from './variables.ts';

export type Variable = keyof typeof VARIABLES;

/** `text` begins with the name of the variable, or of its file. It never holds a value. */
export type Problem = { name: Variable; text: string };

/** The values that are given, by variable. An empty one counts as unset. */
export type Values = Partial<Record<Variable, string>>;

export const isVariable = (name: unknown): name is Variable =>
  typeof name === 'string' && Object.hasOwn(VARIABLES, name);

// Most programs read these in small letters, and prefer them.
const IN_SMALL_LETTERS: readonly Variable[] = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'];

// What separates the entries of a list, and is no mistake there.
const LINE_BREAKS = /\r?\n/g;
const SEPARATORS: Partial<Record<Variable, RegExp>> = {
  API_KEYS: LINE_BREAKS,
  TOKEN_ENCRYPTION_KEYS: LINE_BREAKS,
  REDIS_SENTINELS: LINE_BREAKS,
  NO_PROXY: /\s/g,
};

/** Reads the variables and their files, and leaves out the values that no setting can be meant to hold. */
export const readEnvironment = (env: NodeJS.ProcessEnv) => {
  const values: Values = {};
  const problems: Problem[] = [];
  for (const name of Object.keys(VARIABLES).filter(isVariable)) {
    const read = readVariable(env, name);
    if (typeof read === 'string') values[name] = read;
    else if (read !== undefined) problems.push({ name, text: read.problem });
  }
  return { values, problems };
};

type Reading = string | undefined | { problem: string };

const readVariable = (env: NodeJS.ProcessEnv, name: Variable): Reading => {
  const small = IN_SMALL_LETTERS.includes(name) ? env[name.toLowerCase()] : undefined;
  const value = small || env[name] || undefined;
  const file = env[`${name}_FILE`] || undefined;
  if (value !== undefined && file !== undefined) {
    return { problem: `${name} and ${name}_FILE are both set; give one of them` };
  }
  if (file !== undefined) return readFile(name, file);
  const problem = value === undefined ? undefined : problemOf(name, value);
  return problem === undefined ? value : { problem: `${name} ${problem}` };
};

const readFile = (name: Variable, path: string): Reading => {
  const pathProblem = textProblem(path);
  if (pathProblem !== undefined) return { problem: `${name}_FILE ${pathProblem}` };
  try {
    const content = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    const problem = problemOf(name, content);
    if (problem === undefined) return content === '' ? undefined : content;
    return { problem: `${name}_FILE names a file whose content ${problem}` };
  } catch {
    // A secret that was put here by mistake does not begin like a path.
    const shown = /^(?:\.{0,2}\/|[A-Za-z]:\\)/.test(path) ? `: ${path}` : '; give its path';
    return { problem: `${name}_FILE names a file that cannot be read${shown}` };
  }
};

const problemOf = (name: Variable, value: string): string | undefined => {
  const separator = SEPARATORS[name];
  return textProblem(separator === undefined ? value : value.replaceAll(separator, ''));
};

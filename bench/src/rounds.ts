import { type Summary, summarise } from './statistics.js';

/** The results of one round, by the name of the subject. */
export type Round<Result> = Record<string, Result>;

type Options = { rounds: number; note: (text: string) => void };

/** Measures each subject in turn, round after round, so that all of them meet the same load of the machine. */
export const measureRounds = async <Result>(
  names: readonly string[],
  measure: (name: string) => Promise<Result>,
  { rounds, note }: Options,
): Promise<Round<Result>[]> => {
  const results: Round<Result>[] = [];
  for (let number = 1; number <= rounds; number += 1) {
    const round: Round<Result> = {};
    for (const name of names) {
      round[name] = await measure(name);
      note(`round ${number}/${rounds}: ${name} ${JSON.stringify(round[name])}`);
    }
    results.push(round);
  }
  return results;
};

/** Summarises a value that is computed from each round. */
export const summariseRounds = <Result>(
  rounds: readonly Round<Result>[],
  compute: (of: (name: string) => Result) => number,
): Summary =>
  summarise(
    rounds.map((round) =>
      compute((name) => {
        const result = round[name];
        if (result === undefined) throw new Error(`${name} was not measured`);
        return result;
      }),
    ),
  );

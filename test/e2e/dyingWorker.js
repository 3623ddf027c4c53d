// node dyingWorker.js DIST CALL NUMBER before|after
// A worker that kills itself right before, or right after, the given call of CALL, such as `jobs.fail`.
import process from 'node:process';

const [dist, call, number, when] = process.argv.slice(2);
const load = (path) => import(`${dist}/${path}.js`);
const { loadConfig } = await load('config/config');
const { createLogger } = await load('observability/logger');
const { openRedis } = await load('queue/redis/openRedis');
const { createService, queueOptions } = await load('cli/processes/service');
const { startWorker } = await load('worker/startWorker');

let calls = 0;
const isDue = (name) => {
  if (name !== call) return false;
  calls += 1;
  return calls === Number(number);
};
const die = () => process.kill(process.pid, 'SIGKILL');

const dieAt =
  (name, run) =>
  async (...args) => {
    const isLast = isDue(name);
    if (isLast && when === 'before') die();
    const result = await run(...args);
    if (isLast) die();
    return result;
  };

const wrap = (group, methods) =>
  Object.fromEntries(
    Object.entries(methods).map(([name, method]) =>
      name === 'isReachable' || typeof method !== 'function'
        ? [name, method]
        : [name, dieAt(`${group}.${name}`, method)],
    ),
  );

/** The source, whose `exchange` counts as `take` if it completes no job, and otherwise as `settle`. */
const wrapSource = (group, source) => {
  const [take, settle] = ['take', 'settle'].map((name) =>
    dieAt(`${group}.${name}`, source.exchange),
  );
  return {
    ...wrap(group, source),
    // Counts only the calls that find a job.
    waitForJob: async () => {
      logger.info('Waits for a job');
      const job = await source.waitForJob();
      if (job !== undefined && isDue(`${group}.waitForJob`)) die();
      return job;
    },
    exchange: (completions, wanted) =>
      completions.length === 0 ? take(completions, wanted) : settle(completions, wanted),
    hasTakenPlain: source.hasTakenPlain,
  };
};

// biome-ignore lint/style/noProcessEnv: the test gives the configuration to this process.
const config = loadConfig(process.env, ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET']);
const destination = {
  write: (line) => {
    const isLast = line.includes('"signal.attempt') && isDue('log');
    if (isLast && when === 'before') die();
    process.stdout.write(line);
    if (isLast) die();
  },
};
const logger = createLogger({ level: 'info', destination });
const backend = openRedis({
  ...queueOptions(config),
  url: config.REDIS_URL,
  profile: 'patient',
  logger,
});
const service = createService(
  {
    ...backend,
    openJobs: (name, keep) =>
      wrapSource(name === 'signals' ? 'jobs' : 'deadLetterJobs', backend.openJobs(name, keep)),
    bookkeeping: wrap('bookkeeping', backend.bookkeeping),
    jobData: wrap('jobData', backend.jobData),
    jobs: { ...wrap('store', backend.jobs), scan: backend.jobs.scan },
  },
  logger,
  config,
);
process.once('SIGTERM', () => void service.closers.closeAll());
await startWorker({ ...service, config });

import { runExecutable, stopSignal } from '../src/command-line.ts';
import { BackupError } from '../src/errors/backup-error.ts';
import { firstBackup, proveRestore, type DemoResult } from '../src/host/demo/first-backup.ts';
import { hasPoints, startBackup } from '../src/host/demo/jobs.ts';
import { describeDemo } from '../src/host/demo/sign-in-lines.ts';
import { startDemo, type Demo } from '../src/host/demo/start.ts';

await runExecutable({
  name: 'start',
  summary: 'Starts the demo: a small billing portal with e3 Cloud Backup mounted in it, an S3 server, and a worker.',
  notes: `
All state lives in the data folder; a second start goes on with it. Ctrl-C stops everything.
With --once, the exit code is 0 only when the backup is a success and its restore equals the source.`,
  options: {
    port: { type: 'string', value: 'port', description: 'Port of the portal', default: '3300' },
    'data-dir': { type: 'string', value: 'dir', description: 'Folder for all state', default: '.e3' },
    once: { type: 'boolean', description: 'Stop after the first backup and its restore' },
    json: { type: 'boolean', description: 'Print the result as one line of JSON, the last of stdout; with --once' },
  },
  async main({ values }) {
    const port = portNumber(values.port);
    if (values.json && !values.once) throw new BackupError('ERR_USAGE', '--json needs --once. See start --help.');
    const began = performance.now();
    // Progress goes to stderr: stdout belongs to the result.
    const say = (line: string): void => void process.stderr.write(`${seconds(began)}  ${line}\n`);
    const signal = stopSignal();
    let demo: Demo | undefined;
    try {
      demo = await startDemo({ dataDir: values['data-dir'], port, say, signal });
      if (!values.once) return await serve(demo, { say, signal });
      const result = await Promise.race([once(demo, { say, signal }), demo.broken]);
      process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${sentence(result)}\n`);
      return result.status === 'success' && result.restored ? 0 : 1;
    } catch (error) {
      if (!signal.aborted) throw error;
      return values.once ? 130 : 0;
    } finally {
      if (signal.aborted) say('Stopping');
      await demo?.stop();
    }
  },
});

interface Talk {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

async function once(demo: Demo, talk: Talk): Promise<DemoResult> {
  const run = await firstBackup(demo, talk);
  return await proveRestore(demo, run, talk);
}

/** Until somebody stops it. */
async function serve(demo: Demo, talk: Talk): Promise<number> {
  const stopped = new Promise<void>((resolve) => {
    if (talk.signal.aborted) resolve();
    else talk.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([prepare(demo, talk).then(() => stopped), stopped, demo.broken]);
  return 0;
}

/** Makes the first restore points where there are none; the second one is not waited for. */
async function prepare(demo: Demo, talk: Talk): Promise<void> {
  const { shop, office } = demo.jobs;
  if (shop !== null && !(await hasPoints(demo, shop))) await firstBackup(demo, talk);
  if (office !== null && !(await hasPoints(demo, office))) await startBackup(demo.client, office);
  process.stdout.write(describeDemo(demo));
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new BackupError('ERR_USAGE', `--port must be a number from 0 (any free port) to 65535, not "${text}".`);
}

function sentence(result: DemoResult): string {
  return `Backup ${result.run_id}: ${result.status}, ${result.files} files, ${result.bytes} bytes, ${result.seconds} s; restore ${result.restored ? 'equals the source' : 'differs'}.`;
}

function seconds(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`;
}

import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { startChild as startSupervised, type ChildEnd } from '../../engines/child.ts';
import { redact } from '../../security/redact.ts';

/** A program that the demo started and will end; it dies with this process, however that ends. */
export interface Child {
  readonly name: string;
  /** Of its leash, which leads its process group. */
  readonly pid: number;
  /** Resolves when it has ended, with how: `ended with code 1`. Never rejects. */
  readonly ended: Promise<string>;
  readonly running: boolean;
  /** Last lines of what it said, fit to be shown. */
  tail(): string;
  /** SIGTERM, and SIGKILL when it is still there after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

export interface ChildCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Its working directory and home. */
  readonly folder: string;
  /** Takes stdout and stderr. */
  readonly logFile: string;
}

/** The demo may be set aside with Ctrl-Z for a while; that it dies is noticed at once, whatever this says. */
const SILENCE_MS = 60 * 60 * 1000;

export function startChild(command: ChildCommand): Child {
  const child = startSupervised({ ...command, silenceMs: SILENCE_MS });
  const log = createWriteStream(command.logFile, { flags: 'a', mode: 0o600 });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  let running = true;
  const ended = child.ended.then((end) => {
    running = false;
    log.end();
    return describeEnd(end);
  });
  return {
    name: command.name,
    pid: child.record?.pid ?? 0,
    ended,
    get running() {
      return running;
    },
    tail: () => redact(lastLines(command.logFile)),
    async stop(graceMs = 10_000) {
      if (!running) return;
      child.terminate();
      const timer = setTimeout(() => child.kill(), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function describeEnd({ exitCode, reason }: ChildEnd): string {
  switch (reason) {
    case 'start':
      return 'could not be started';
    case 'stopped':
      return 'was stopped';
    case 'exit':
      return `ended with code ${exitCode}`;
    case 'signal':
    case 'leash':
      return 'was killed';
  }
}

/** Where the tools lie, when the operator keeps them elsewhere. */
export function toolsEnvironment(): Record<string, string> {
  const folder = process.env['E3_CLOUDBACKUP_TOOLS_DIR'];
  return folder === undefined ? {} : { E3_CLOUDBACKUP_TOOLS_DIR: folder };
}

function lastLines(file: string): string {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' ');
}

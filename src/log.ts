import { createLogger, format, transports, type Logger } from 'winston';
import { BackupError } from './errors/backup-error.ts';
import { redact } from './security/redact.ts';

export type { Logger } from 'winston';

export interface LogSettings {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** Write to this file too, with rotation by size. */
  readonly file?: string | undefined;
  readonly maxSizeMb?: number;
  readonly maxBackups?: number;
  /** Nothing on the terminal (tests, `--json`). */
  readonly silent?: boolean;
}

/** One JSON line an entry, on stderr: what systemd and log collectors read. Every text passes redaction. */
export function createLog(settings: LogSettings): Logger {
  return createLogger({
    level: settings.level,
    format: format.combine(format.timestamp(), redacted(), format.json()),
    transports: [
      new transports.Console({ silent: settings.silent ?? false, stderrLevels: ['error', 'warn', 'info', 'debug'] }),
      ...(settings.file === undefined
        ? []
        : [
            new transports.File({
              filename: settings.file,
              maxsize: (settings.maxSizeMb ?? 100) * 1024 * 1024,
              maxFiles: (settings.maxBackups ?? 5) + 1,
              tailable: true,
            }),
          ]),
    ],
  });
}

const redacted = format((entry) => {
  for (const [key, value] of Object.entries(entry)) {
    if (value instanceof Error) entry[key] = describeError(value);
    else if (typeof value === 'string' && key !== 'timestamp' && key !== 'level') entry[key] = redact(value);
  }
  return entry;
});

/** An error as a log shows it: code, message and the chain of causes, redacted; stacks only for errors nobody expected. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current !== undefined && current !== null; depth += 1) {
    if (current instanceof BackupError) parts.push(`${current.code}: ${current.message}`);
    else if (current instanceof Error) parts.push(current.stack ?? String(current));
    else parts.push(String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return redact(parts.join(' ← '));
}

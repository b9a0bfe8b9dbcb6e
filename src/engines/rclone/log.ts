import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { TransferProgress } from '../port.ts';

const Transferring = z.looseObject({ name: z.string() });
const Stats = z.looseObject({
  bytes: z.number(),
  totalBytes: z.number(),
  checks: z.number(),
  transfers: z.number(),
  totalTransfers: z.number(),
  errors: z.number(),
  speed: z.number(),
  eta: z.number().nullish(),
  transferring: z.array(Transferring).optional(),
});

/** One line of rclone's log, as far as it matters. */
export interface LogLine {
  /** `debug`, `info`, `notice`, `warning`, `error`, `critical` …; `raw` for what is no JSON: a panic, a usage text, a line cut off. */
  readonly level: string;
  readonly message: string;
  /** Name of the file or folder it is about; bytes that are not UTF-8 are U+FFFD in it. */
  readonly object: string | null;
  readonly stats: LoggedStats | null;
}

export interface LoggedStats extends TransferProgress {
  /** Files that were only looked at. */
  readonly checks: number;
}

/** Longer lines are cut and thrown away: a panic or a hostile name must not fill the memory. */
const LONGEST_LINE = 1024 * 1024;
/** Of what is no JSON, so much is kept. */
const LONGEST_RAW = 4_096;
const NEWLINE = 0x0a;

/** Lines of a log, in order, whatever their length. */
export async function* readLog(stream: Readable): AsyncGenerator<LogLine> {
  for await (const line of linesOf(stream)) {
    const read = readLogLine(line);
    if (read !== null) yield read;
  }
}

/** Lines of a stream as text; a line that is too long ends where it became so, and its rest is left out. */
export async function* linesOf(stream: Readable, longest = LONGEST_LINE): AsyncGenerator<string> {
  for await (const line of byteLinesOf(stream, longest)) yield line.toString('utf8');
}

/** The same as bytes, for names that need not be text. */
export async function* byteLinesOf(stream: Readable, longest = LONGEST_LINE): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    const kept = part.subarray(0, Math.max(0, longest - length));
    if (kept.length > 0) parts.push(kept);
    length += kept.length;
  };
  const line = (): Buffer => {
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    parts = [];
    length = 0;
    return bytes;
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield line();
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  if (length > 0) yield line();
}

/** Reads a line of `--use-json-log`; null for an empty one. */
export function readLogLine(line: string): LogLine | null {
  if (line.trim() === '') return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return { level: 'raw', message: line.slice(0, LONGEST_RAW), object: null, stats: null };
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const entry = parsed as Record<string, unknown>;
  const text = (name: string): string | null => (typeof entry[name] === 'string' ? entry[name] : null);
  return {
    level: text('level') ?? 'info',
    message: text('msg') ?? '',
    object: text('object'),
    stats: entry['stats'] === undefined ? null : readStats(entry['stats']),
  };
}

function readStats(value: unknown): LoggedStats | null {
  const parsed = Stats.safeParse(value);
  if (!parsed.success) return null;
  const { bytes, totalBytes, checks, transfers, totalTransfers, errors, speed, eta, transferring } = parsed.data;
  return {
    bytes,
    bytesTotal: Math.max(totalBytes, bytes),
    files: transfers,
    filesTotal: Math.max(totalTransfers, transfers),
    checks,
    speed,
    etaSeconds: eta ?? null,
    transferring: (transferring ?? []).map(({ name }) => name),
    errors,
  };
}

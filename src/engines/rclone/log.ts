import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { TransferProgress } from '../port.ts';

const Transferring = z.looseObject({ name: z.string() });
const Stats = z.looseObject({
  bytes: z.number(),
  totalBytes: z.number(),
  transfers: z.number(),
  totalTransfers: z.number(),
  errors: z.number(),
  speed: z.number(),
  eta: z.number().nullish(),
  transferring: z.array(Transferring).optional(),
});

/** One line of rclone's log, as far as it matters. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly object: string | null;
  readonly stats: TransferProgress | null;
}

/** Lines longer than this are cut: a panic or a hostile name must not fill the memory. */
const LONGEST_LINE = 1 << 20;

/** Lines of a stream as text, whatever their length; bytes that are not UTF-8 become U+FFFD. */
export async function* linesOf(stream: Readable): AsyncIterable<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) rest = rest.slice(0, LONGEST_LINE);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** Reads a line of `--use-json-log`. What is no JSON (a panic, a usage text) comes back as an error with that text. */
export function readLogLine(line: string): LogLine | null {
  if (line.trim() === '') return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return { level: 'error', message: line.slice(0, 4096), object: null, stats: null };
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const entry = parsed as Record<string, unknown>;
  const stats = entry['stats'] === undefined ? null : readStats(entry['stats']);
  return {
    level: typeof entry['level'] === 'string' ? entry['level'] : 'info',
    message: typeof entry['msg'] === 'string' ? entry['msg'] : '',
    object: typeof entry['object'] === 'string' ? entry['object'] : null,
    stats,
  };
}

function readStats(value: unknown): TransferProgress | null {
  const parsed = Stats.safeParse(value);
  if (!parsed.success) return null;
  const { bytes, totalBytes, transfers, totalTransfers, errors, speed, eta, transferring } = parsed.data;
  return {
    bytes,
    bytesTotal: Math.max(totalBytes, bytes),
    files: transfers,
    filesTotal: Math.max(totalTransfers, transfers),
    speed,
    etaSeconds: eta ?? null,
    transferring: (transferring ?? []).map(({ name }) => name),
    errors,
  };
}

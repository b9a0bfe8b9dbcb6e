import { redact } from '../security/redact.ts';
import type { NewEvent } from './events.ts';

/** A row of the events table before its time is set. */
export interface EventRow {
  readonly run_id: number;
  readonly seq: number;
  readonly ts: number | null;
  readonly type: string;
  readonly level: string;
  readonly code: string;
  readonly message_id: string;
  readonly params_json: string | null;
  readonly producer: string | null;
  readonly producer_seq: number | null;
}

/**
 * Longest text of one parameter, and of all of them as JSON: one odd event must neither be lost nor fill the table. The largest that is
 * ours names a hundred files.
 */
const LONGEST_TEXT = 2_000;
const LONGEST_JSON = 256 * 1024;

/** Parameters that hold text of programs and servers. All others are counts, codes, and names of the customer's own files. */
const FOREIGN_TEXT = new Set(['message', 'error', 'summary', 'hint', 'detail', 'details', 'stage', 'reason', 'text']);

export function eventRow(runId: number, seq: number, event: NewEvent): EventRow {
  return {
    run_id: runId,
    seq,
    ts: event.ts ?? null,
    type: event.type,
    level: event.level,
    code: event.code,
    message_id: event.messageId,
    params_json: paramsJson(event.params),
    producer: event.producer ?? null,
    producer_seq: event.producerSeq ?? null,
  };
}

/** Cuts what would not fit its column: an agent of another version may send anything. */
export function fitEvent(event: NewEvent): NewEvent {
  const messageId = word(event.messageId, 128, 'UNKNOWN');
  return {
    ...event,
    type: word(event.type, 32, 'info'),
    level: word(event.level, 16, 'info'),
    code: word(event.code, 128, messageId),
    messageId,
  };
}

function word<Word extends string>(text: Word, longest: number, otherwise: string): Word {
  if (text.length <= longest && /^[\x21-\x7e]+$/.test(text)) return text;
  const plain = text.replace(/[^\x21-\x7e]+/g, '_').slice(0, longest);
  return (plain === '' ? otherwise.slice(0, longest) : plain) as Word;
}

function paramsJson(params: Readonly<Record<string, unknown>>): string | null {
  // A replacer function costs more than the rest of the row: it is used only where a value has parts of its own.
  const cleaned: Record<string, unknown> = {};
  let empty = true;
  for (const name in params) {
    if (!Object.hasOwn(params, name)) continue;
    empty = false;
    const value = params[name];
    cleaned[name] = typeof value === 'object' && value !== null ? deeply(value) : clean(name, value);
  }
  if (empty) return null;
  const json = JSON.stringify(cleaned);
  if (json.length <= LONGEST_JSON) return json;
  return JSON.stringify({ message: 'The details of this event are too long to be kept.' });
}

function deeply(value: object): unknown {
  return JSON.parse(JSON.stringify(value, clean) ?? 'null');
}

function clean(name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return value;
  const text = FOREIGN_TEXT.has(name) ? redact(value) : value;
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

import { definitionOf } from './catalogue.ts';
import type { Show } from './define.ts';
import { unitsFor } from './units.ts';

/** Who reads it. */
export interface Viewer {
  /** IANA zone for times in texts. */
  readonly timezone: string;
  /** For numbers and dates; default `en`. */
  readonly locale?: string;
}

export interface Renderable {
  readonly messageId: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const UNKNOWN = 'Update received.';

/**
 * The text of a stored event. An id that this version does not know shows its `message` parameter, parameters that do not fit are
 * shown as far as they do: a page must be able to show whatever lies in the table.
 */
export function renderEvent(given: Renderable, viewer: Viewer): string {
  const definition = definitionOf(given.messageId);
  const show = showFor(viewer);
  if (definition === undefined) return messageOf(given, show);
  if (typeof definition.text === 'string') return fill(definition.text, given.params, show);
  const parsed = definition.params.safeParse(given.params);
  return parsed.success ? definition.text(parsed.data, show) : messageOf(given, show);
}

function messageOf(given: Renderable, show: Show): string {
  const message = given.params['message'];
  if (typeof message !== 'string' || message.trim() === '') return UNKNOWN;
  return show.text(message);
}

const PLACEHOLDER = /\{([a-z_]+):([a-z]+)\}/g;

/** A value that is missing or of another kind leaves its name in braces. */
function fill(template: string, params: Readonly<Record<string, unknown>>, show: Show): string {
  return template.replace(PLACEHOLDER, (_, name: string, kind: string) => one(kind, params[name], show) ?? `{${name}}`);
}

function one(kind: string, value: unknown, show: Show): string | undefined {
  switch (kind) {
    case 'count':
    case 'bytes':
    case 'speed':
    case 'percent':
    case 'time':
      return typeof value === 'number' ? show[kind](value) : undefined;
    case 'duration':
      return value === null || typeof value === 'number' ? show.duration(value) : undefined;
    case 'path':
    case 'file':
    case 'text':
    case 'id':
      return typeof value === 'string' ? show[kind](value) : undefined;
    default:
      return undefined;
  }
}

export function showFor(viewer: Viewer): Show {
  return {
    ...unitsFor(viewer.timezone, viewer.locale ?? 'en'),
    path: (value) => shortPath(printable(value)),
    file: (value) => shortFile(printable(value)),
    text: foreignText,
    id: (value) => (value.length > 20 ? `${printable(value.slice(0, 16))}...` : printable(value)),
  };
}

const LONGEST_PATH = 60;
const LONGEST_FILE = 240;
const LONGEST_TEXT = 500;

/** The first segment and the last two: enough to know which folder is meant. */
function shortPath(path: string): string {
  if (path.length <= LONGEST_PATH) return path;
  const segments = path.split('/').filter((segment) => segment !== '');
  const short =
    segments.length <= 3 ? path : `${path.startsWith('/') ? '/' : ''}${segments[0]}/…/${segments.slice(-2).join('/')}`;
  return short.length <= LONGEST_PATH * 2 ? short : cut(short, LONGEST_PATH * 2);
}

function shortFile(path: string): string {
  return path.length <= LONGEST_FILE ? path : cut(path, LONGEST_FILE);
}

/** Leaves out the middle, never half of a character. */
function cut(text: string, longest: number): string {
  const characters = [...text];
  if (characters.length <= longest) return text;
  const half = Math.floor((longest - 1) / 2);
  return `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`;
}

/** Names may hold line breaks, escapes and directional marks that would change what stands around them. */
function printable(text: string): string {
  return text
    .replace(/[\u0000-\u001f]/g, (found) => String.fromCharCode(0x2400 + found.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
}

const CANCELLED = /context cancell?ed|deadline exceeded|operation was cancell?ed/i;

/** Text of programs and servers: what they are called is nothing to customers, and control characters are nobody's. */
function foreignText(text: string): string {
  if (CANCELLED.test(text)) return 'Operation was cancelled.';
  const scrubbed = text
    .replace(/\b(?:kopia|rclone)(?:\.exe)?\b/gi, 'backup engine')
    .replace(/kopia|rclone/gi, 'engine')
    .replace(/\s+/g, ' ')
    .trim();
  const readable = printable(scrubbed);
  return readable.length > LONGEST_TEXT ? `${readable.slice(0, LONGEST_TEXT)}…` : readable;
}

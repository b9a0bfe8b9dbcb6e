import { tmpdir } from 'node:os';

/**
 * Makes text of child processes and remote servers fit to be stored and shown: no keys, tokens, passwords, internal addresses or
 * paths of the operator's machines. Used for messages, never for names of the customer's files, which are theirs to see.
 */
export type Redactor = (text: string) => string;

const SECRET = '[secret]';
const ADDRESS = '[internal address]';
const PATH = '[path]';

/**
 * Words that stand before a secret: `secret_access_key = …`, `"password": "…"`, `X-Amz-Signature=…`, `--sftp-pass …`.
 * Repetitions in all patterns are bounded, so that hostile text cannot make them slow.
 */
const SECRET_NAME =
  '(?!(?:InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired)\\b)' +
  '(?:[a-z0-9_.-]{0,40}(?:secret|password|passwd|passphrase|passcode|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|accesskeyid|' +
  'awsaccesskeyid|private[_-]?key|client[_-]?secret|signature|credential|session[_-]?key)[a-z0-9_.-]{0,40}|(?:[a-z0-9_.-]{0,40}[_-])?(?:pass|pwd)|sig|auth|key_pem)';

/** "name": "value", name = value, name: value, --name value. Quoted values may hold spaces and escaped quotes. */
const named: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`(["']?\\b${SECRET_NAME}\\b["']?\\s*[:=]\\s*)"(?:[^"\\\\\\r\\n]|\\\\.){0,4096}"`, 'gi'), `$1"${SECRET}"`],
  [new RegExp(`(["']?\\b${SECRET_NAME}\\b["']?\\s*[:=]\\s*)'(?:[^'\\\\\\r\\n]|\\\\.){0,4096}'`, 'gi'), `$1'${SECRET}'`],
  [new RegExp(`(\\b${SECRET_NAME}\\b["']?\\s*[:=]\\s*)(?!["'\\[])[^\\s,;&"'<>)\\]}]+`, 'gi'), `$1${SECRET}`],
  [new RegExp(`(--${SECRET_NAME}\\s+)(?!\\[secret\\]|-)[^\\s"']+`, 'gi'), `$1${SECRET}`],
];
/** Most lines hold none of these words: they are spared the costly patterns above. */
const MAYBE_NAMED = /secret|pass|pwd|token|key|signature|credential|sig|auth/i;

const patterns: readonly (readonly [RegExp, string])[] = [
  // Private keys, whole or cut off by a log limit.
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, SECRET],
  // Authorization headers of any scheme, and bearer tokens wherever they stand.
  [/\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?\[?)(?!\[secret\])[^\r\n"']+/gi, `$1${SECRET}`],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${SECRET}`],
  [/\b((?:set-)?cookie["']?\s*:\s*)[^\r\n]+/gi, `$1${SECRET}`],
  // user:password@host of any URL.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"'<>@]*(?:@[^\s/?#"'<>@]*)*@/gi, `$1${SECRET}@`],
  // Query strings of URLs hold signatures, upload ids and tokens.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s?"'<>]{0,2048})\?[^\s"'<>]*/gi, '$1?[query]'],
  // Forms that are secrets by themselves.
  [/\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b/g, SECRET],
  [/\bya29\.[A-Za-z0-9_-]{10,}/g, SECRET],
  [/\b1\/\/0[A-Za-z0-9_-]{20,}/g, SECRET],
  [/\bsl\.[A-Za-z0-9_-]{20,}/g, SECRET],
  [/\bGOCSPX-[A-Za-z0-9_-]{10,}/g, SECRET],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g, SECRET],
  [/\bv2:[0-9a-f]{8}:[A-Za-z0-9+/]{16,}={0,2}/g, SECRET],
];

/** IPv4 and IPv6 addresses of loopback, private, link-local, shared and metadata ranges, with a port if there is one. */
const OCTET = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const INTERNAL_V4 = new RegExp(
  `(?<![\\d.])(?:(?:0|10|127)\\.${OCTET}\\.${OCTET}|192\\.168\\.${OCTET}|169\\.254\\.${OCTET}|172\\.(?:1[6-9]|2\\d|3[01])\\.${OCTET}|` +
    `100\\.(?:6[4-9]|[7-9]\\d|1[01]\\d|12[0-7])\\.${OCTET})\\.${OCTET}(?![\\d.]*\\d)(?::\\d{1,5})?`,
  'g',
);
const INTERNAL_V6 =
  /\[(?:::1|::|f[cd][0-9a-f:]*|fe[89ab][0-9a-f]:[0-9a-f:]*|::ffff:[0-9a-f:.]+)(?:%[\w.-]+)?\](?::\d{1,5})?|(?<![\w:])(?:::1|f[cd][0-9a-f]{2}:[0-9a-f:]+|fe[89ab][0-9a-f]:[0-9a-f:]+(?:%[\w.-]+)?|::ffff:[\d.]+)(?![\w:])/gi;

const LOCAL_HOST =
  /(?<![\w.-])(?:localhost|[a-z0-9-]+\.(?:internal|local|localdomain|lan|intranet))(?![\w-]|\.\w)(?::\d{1,5})?/gi;

/** Absolute paths below folders where programs of the operator live and write; a customer's own absolute paths stay. */
const SYSTEM_PATH = new RegExp(
  `(?<![\\w.:/~-])(?:${[tmpdir(), '/tmp', '/var', '/run', '/dev/shm', '/opt', '/root', '/proc', '/etc']
    .map(escapeRegExp)
    .join('|')})/[^\\s"'<>|:;,)\\]}]*`,
  'g',
);
const WINDOWS_PATH =
  /(?<![\w])[A-Z]:\\(?:Windows|ProgramData|Program Files(?: \(x86\))?|Users\\[^\\\s"']+\\AppData)\\[^\s"'<>|:;,)]*/gi;

/** Longer texts are cut: nothing that long is read, and it bounds the time of every pattern. */
const LONGEST_TEXT = 64 * 1024;

/** Redacts by form alone. Where the secrets in play are known, use `createRedactor`, which also finds them where no form tells. */
export function redact(text: string): string {
  let result = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  for (const [pattern, replacement] of patterns) result = result.replace(pattern, replacement);
  if (MAYBE_NAMED.test(result)) {
    for (const [pattern, replacement] of named) result = result.replace(pattern, replacement);
  }
  return result
    .replace(INTERNAL_V4, ADDRESS)
    .replace(INTERNAL_V6, ADDRESS)
    .replace(LOCAL_HOST, ADDRESS)
    .replace(SYSTEM_PATH, PATH)
    .replace(WINDOWS_PATH, PATH);
}

export interface KnownTexts {
  /** Keys, passwords, tokens of this run; each is replaced in every spelling a program may print it in. */
  readonly secrets: readonly string[];
  /** Text → what stands in its place, such as the destination's endpoint → `[storage]`, the run directory → `[run folder]`. */
  readonly names?: Readonly<Record<string, string>>;
}

/** Shorter ones would tear holes into ordinary words; their forms are still found by `redact`. */
const SHORTEST_KNOWN_SECRET = 4;

/** A redactor that knows what must not appear: exact texts first, in all their spellings, then everything `redact` finds. */
export function createRedactor(known: KnownTexts): Redactor {
  const replacements = new Map<string, string>();
  for (const [name, place] of Object.entries(known.names ?? {})) {
    if (name !== '') replacements.set(name, place);
  }
  for (const secret of known.secrets) {
    if (secret.length < SHORTEST_KNOWN_SECRET) continue;
    for (const spelling of spellings(secret)) replacements.set(spelling, SECRET);
  }
  if (replacements.size === 0) return redact;
  // The longest first: one secret may be a part of another.
  const texts = [...replacements.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(texts.map(escapeRegExp).join('|'), 'g');
  return (text) => redact(text.replace(pattern, (found) => replacements.get(found) ?? SECRET));
}

function spellings(secret: string): Set<string> {
  const bytes = Buffer.from(secret, 'utf8');
  const json = JSON.stringify(secret).slice(1, -1);
  const all = new Set([
    secret,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(secret),
    encodeURI(secret),
    new URLSearchParams([['', secret]]).toString().slice(1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
  ]);
  // A multi-line secret (a private key) may be printed line by line.
  for (const line of secret.split(/\r?\n/)) if (line.length >= 16) all.add(line);
  return all;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

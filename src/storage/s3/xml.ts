import { isUtf8 } from 'node:buffer';
import { SaxesParser } from 'saxes';
import type { StoredObject } from '../port.ts';
import { S3Failure } from './failure.ts';

export interface ListingPage {
  readonly objects: StoredObject[];
  /** Common prefixes, where a delimiter was given. */
  readonly folders: string[];
  readonly truncated: boolean;
  /** Token of the second version's next page. */
  readonly continuation: string | null;
  /** Where the first version's next page begins. */
  readonly nextMarker: string | null;
  /** The answer is in the form of ListObjects version 1, whatever was asked for. */
  readonly firstVersion: boolean;
}

/** Reads an answer of ListObjects in either version. @throws S3Failure when it is not one. */
export function parseListing(xml: string): ListingPage {
  const single = new Map<string, string>();
  const raw: { key: string; size: string; etag: string; modified: string }[] = [];
  const folders: string[] = [];
  let entry = { key: '', size: '', etag: '', modified: '' };
  walk(xml, 'ListBucketResult', {
    open(name, parent) {
      if (name === 'Contents' && parent === '') raw.push((entry = { key: '', size: '', etag: '', modified: '' }));
    },
    close(name, parent, text) {
      if (parent === 'Contents') {
        if (name === 'Key') entry.key = text;
        else if (name === 'Size') entry.size = text;
        else if (name === 'ETag') entry.etag = text;
        else if (name === 'LastModified') entry.modified = text;
      } else if (parent === 'CommonPrefixes') {
        if (name === 'Prefix') folders.push(text);
      } else if (parent === '') single.set(name, text);
    },
  });
  const decode = single.get('EncodingType') === 'url' ? decodeListed : (text: string): string => text;
  const nextMarker = single.get('NextMarker');
  return {
    objects: raw.map(({ key, size, etag, modified }) => ({
      key: decode(key),
      size: Number(size),
      md5: md5Of(etag),
      lastModified: Date.parse(modified),
    })),
    folders: folders.map(decode),
    truncated: single.get('IsTruncated') === 'true',
    continuation: single.get('NextContinuationToken') || null,
    nextMarker: nextMarker ? decode(nextMarker) : null,
    firstVersion: single.has('Marker') && !single.has('KeyCount'),
  };
}

/** The MD5 in an ETag, or null where the ETag is something else (multipart upload). */
export function md5Of(etag: string | undefined): string | null {
  const bare = (etag ?? '').replaceAll('"', '').toLowerCase();
  return /^[0-9a-f]{32}$/.test(bare) ? bare : null;
}

/** Code and message of an error answer; both empty when the body is no XML (HEAD, a proxy's page). */
export function parseError(xml: string): { code: string; message: string } {
  const error = { code: '', message: '' };
  if (!xml.includes('<Error')) return error;
  try {
    walk(xml, 'Error', {
      close(name, parent, text) {
        if (parent !== '') return;
        if (name === 'Code') error.code = text;
        else if (name === 'Message') error.message = text;
      },
    });
  } catch {
    // An unreadable error is still the error that its status says.
  }
  return error;
}

/** Keys that a multi-object delete could not delete, with the reason. */
export function parseDeleteErrors(xml: string): { key: string; code: string }[] {
  const errors: { key: string; code: string }[] = [];
  let key = '';
  let code = '';
  walk(xml, 'DeleteResult', {
    close(name, parent, text) {
      if (parent === '' && name === 'Error') errors.push({ key, code });
      else if (parent === 'Error' && name === 'Key') key = text;
      else if (parent === 'Error' && name === 'Code') code = text;
    },
  });
  return errors;
}

export interface UploadsPage {
  readonly uploads: { readonly key: string; readonly uploadId: string; readonly startedAt: number }[];
  /** Where the next page begins, or null. */
  readonly next: { readonly key: string; readonly uploadId: string } | null;
}

/** Reads an answer of ListMultipartUploads. @throws S3Failure when it is not one. */
export function parseUploads(xml: string): UploadsPage {
  const single = new Map<string, string>();
  const raw: { key: string; uploadId: string; initiated: string }[] = [];
  let upload = { key: '', uploadId: '', initiated: '' };
  walk(xml, 'ListMultipartUploadsResult', {
    open(name, parent) {
      if (name === 'Upload' && parent === '') raw.push((upload = { key: '', uploadId: '', initiated: '' }));
    },
    close(name, parent, text) {
      if (parent === 'Upload') {
        if (name === 'Key') upload.key = text;
        else if (name === 'UploadId') upload.uploadId = text;
        else if (name === 'Initiated') upload.initiated = text;
      } else if (parent === '') single.set(name, text);
    },
  });
  const decode = single.get('EncodingType') === 'url' ? decodeListed : (text: string): string => text;
  const more = single.get('IsTruncated') === 'true';
  return {
    uploads: raw.map(({ key, uploadId, initiated }) => ({
      key: decode(key),
      uploadId,
      startedAt: Date.parse(initiated),
    })),
    next: more
      ? { key: decode(single.get('NextKeyMarker') ?? ''), uploadId: single.get('NextUploadIdMarker') ?? '' }
      : null,
  };
}

/**
 * Text of the elements directly below the root, whose name differs among servers. A copy may fail after the status line said 200: then
 * the root is `Error`, which is thrown.
 */
export function parseFlat(xml: string): Map<string, string> {
  const texts = new Map<string, string>();
  walk(xml, null, { close: (name, parent, text) => void (parent === '' && texts.set(name, text)) });
  return texts;
}

/** Body of a multi-object delete, or null when a key holds characters that XML 1.0 cannot carry. */
export function deleteBody(keys: readonly string[]): string | null {
  if (keys.some((key) => /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(key))) return null;
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join('');
  return `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`;
}

export function escapeXml(text: string): string {
  // Tab, newline and return are written as references: parsers turn a bare return into a newline.
  return text.replace(/[&<>"'\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

interface Visitor {
  /** An element below the root begins; `parent` is the element that holds it, empty directly below the root. */
  open?(name: string, parent: string): void;
  /** It ends; `text` is what stands directly in it. */
  close(name: string, parent: string, text: string): void;
}

/** Walks an answer, which is never deeper than entry and field; called for every object of every listing, so it allocates little. */
function walk(xml: string, root: string | null, visitor: Visitor): void {
  const parser = new SaxesParser();
  const stack: string[] = [];
  let text = '';
  const parent = (): string => (stack.length > 2 ? (stack[stack.length - 2] ?? '') : '');
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name }) => {
    if (stack.length === 0 && name !== root) refuseRoot(name, root, xml);
    stack.push(name);
    text = '';
    if (stack.length > 1) visitor.open?.(name, parent());
  });
  parser.on('text', (part) => (text += part));
  parser.on('cdata', (part) => (text += part));
  parser.on('closetag', ({ name }) => {
    if (stack.length > 1) visitor.close(name, parent(), text);
    stack.pop();
    text = '';
  });
  try {
    parser.write(xml).close();
  } catch (error) {
    if (error instanceof S3Failure) throw error;
    throw new S3Failure(502, 'MalformedAnswer', 'the answer is not well-formed XML', { cause: error });
  }
}

function refuseRoot(name: string, root: string | null, xml: string): void {
  if (name === 'Error') throw new S3Failure(500, parseError(xml).code || 'InternalError', parseError(xml).message);
  if (root !== null) throw new S3Failure(502, 'MalformedAnswer', `expected ${root}, found ${name}`);
}

/** `encoding-type=url`: percent-encoded UTF-8, a space as `%20` or `+`. */
function decodeListed(text: string): string {
  if (!/[%+]/.test(text)) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return /%(?![0-9a-f]{2})/i.test(spaced) ? text : escapeBytes(spaced);
  }
}

/** A key that is no UTF-8: its stray bytes become lone surrogates (U+DC80 and up), which stand for nothing else. */
function escapeBytes(encoded: string): string {
  const runs = encoded.split(/((?:%[0-9a-f]{2})+)/i);
  const decoded = runs.map((run, i) => (i % 2 === 0 ? run : textOfBytes(Buffer.from(run.replaceAll('%', ''), 'hex'))));
  return decoded.join('');
}

function textOfBytes(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const character = bytes.subarray(at, at + length);
    if (character.length === length && isUtf8(character)) {
      text += character.toString('utf8');
      at += length;
    } else {
      text += String.fromCharCode(0xdc00 + lead);
      at += 1;
    }
  }
  return text;
}

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
    open(path) {
      if (path === 'Contents') entry = { key: '', size: '', etag: '', modified: '' };
    },
    close(path, text) {
      if (path === 'Contents/Key') entry.key = text;
      else if (path === 'Contents/Size') entry.size = text;
      else if (path === 'Contents/ETag') entry.etag = text;
      else if (path === 'Contents/LastModified') entry.modified = text;
      else if (path === 'Contents') raw.push(entry);
      else if (path === 'CommonPrefixes/Prefix') folders.push(text);
      else if (!path.includes('/')) single.set(path, text);
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
      close(path, text) {
        if (path === 'Code') error.code = text;
        else if (path === 'Message') error.message = text;
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
    close(path, text) {
      if (path === 'Error/Key') key = text;
      else if (path === 'Error/Code') code = text;
      else if (path === 'Error') errors.push({ key, code });
    },
  });
  return errors;
}

/**
 * Text of the elements directly below the root, whose name differs among servers. A copy may fail after the status line said 200: then
 * the root is `Error`, which is thrown.
 */
export function parseFlat(xml: string): Map<string, string> {
  const texts = new Map<string, string>();
  walk(xml, null, { close: (path, text) => void texts.set(path, text) });
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
  open?(path: string): void;
  /** Path below the root (`Contents/Key`) and the element's text. */
  close(path: string, text: string): void;
}

function walk(xml: string, root: string | null, visitor: Visitor): void {
  const parser = new SaxesParser();
  const stack: string[] = [];
  let text = '';
  let path = '';
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name }) => {
    if (stack.length === 0 && name !== root) {
      if (name === 'Error') throw new S3Failure(500, parseError(xml).code || 'InternalError', parseError(xml).message);
      if (root !== null) throw new S3Failure(502, 'MalformedAnswer', `expected ${root}, found ${name}`);
    }
    stack.push(name);
    path = stack.slice(1).join('/');
    text = '';
    visitor.open?.(path);
  });
  parser.on('text', (part) => (text += part));
  parser.on('cdata', (part) => (text += part));
  parser.on('closetag', () => {
    if (stack.length > 1) visitor.close(path, text);
    stack.pop();
    path = stack.slice(1).join('/');
    text = '';
  });
  try {
    parser.write(xml).close();
  } catch (error) {
    if (error instanceof S3Failure) throw error;
    throw new S3Failure(502, 'MalformedAnswer', 'the answer is not well-formed XML', { cause: error });
  }
  if (!xml.includes('<')) throw new S3Failure(502, 'MalformedAnswer', 'the answer is empty');
}

/** `encoding-type=url`: percent-encoded UTF-8, a space as `%20` or `+`. */
function decodeListed(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

import { createHash } from 'node:crypto';
import type { CloudReply, CloudRequest } from './cloud-fake.ts';
import { OAuthFake } from './oauth-fake.ts';

const FOLDER = 'application/vnd.google-apps.folder';
const SHORTCUT = 'application/vnd.google-apps.shortcut';

export interface DriveItem {
  readonly id: string;
  name: string;
  mimeType: string;
  parents: string[];
  content?: Buffer;
  modifiedTime: string;
  /** Other than the length of the content, for a listing that lies. */
  size?: string;
  md5Checksum?: string;
  driveId?: string;
  shortcutDetails?: { targetId: string; targetMimeType?: string };
  exportLinks?: Record<string, string>;
  /** Reads are refused with this reason. */
  refusal?: { status: number; reason: string };
  trashed?: boolean;
  description?: string;
  owners?: { emailAddress: string }[];
}

/** My Drive of one account and its shared drives, by the Drive API v3 as rclone asks it. */
export class GoogleFake {
  readonly oauth = new OAuthFake('google-client', 'google-client-secret');
  readonly items = new Map<string, DriveItem>();
  readonly drives: { id: string; name: string }[] = [];
  /** Every API request: `GET /drive/v3/files`. */
  readonly requests: CloudRequest[] = [];
  email = 'ada@gmail.example';
  /** Entries of one page of a listing. */
  pageSize = 1_000;
  incomplete = false;
  /** Answers the next requests instead. */
  readonly next: CloudReply[] = [];
  /** Is asked before each request; what it answers is the answer. */
  intercept: ((request: CloudRequest) => CloudReply | null) | null = null;
  #ids = 0;

  constructor() {
    this.items.set('root-id', folderItem('root-id', 'My Drive', []));
  }

  folder(name: string, parent = 'root-id', id = this.#newId()): string {
    this.items.set(id, { ...folderItem(id, name, [parent]), ...this.#driveOf(parent) });
    return id;
  }

  file(name: string, content: Buffer | string, parent = 'root-id', more: Partial<DriveItem> = {}): string {
    const bytes = Buffer.from(content);
    const id = this.#newId();
    this.items.set(id, {
      id,
      name,
      mimeType: 'application/octet-stream',
      parents: [parent],
      content: bytes,
      modifiedTime: '2026-02-03T04:05:06.789Z',
      size: String(bytes.length),
      md5Checksum: createHash('md5').update(bytes).digest('hex'),
      ...this.#driveOf(parent),
      ...more,
    });
    return id;
  }

  /** A native document: no size, no checksum; read by an export link. */
  document(name: string, kind: 'document' | 'form', exported: string, parent = 'root-id'): string {
    const id = this.#newId();
    const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
    this.items.set(id, {
      id,
      name,
      mimeType: `application/vnd.google-apps.${kind}`,
      parents: [parent],
      content: Buffer.from(exported),
      modifiedTime: '2026-02-03T04:05:06.789Z',
      ...(kind === 'document'
        ? {
            exportLinks: {
              [docx]: `https://docs.google.com/feeds/download/documents/export/Export?id=${id}&exportFormat=docx`,
            },
          }
        : {}),
    });
    return id;
  }

  shortcut(name: string, targetId: string, parent = 'root-id'): string {
    const id = this.#newId();
    const targetMimeType = this.items.get(targetId)?.mimeType ?? 'application/octet-stream';
    this.items.set(id, {
      id,
      name,
      mimeType: SHORTCUT,
      parents: [parent],
      modifiedTime: '2026-02-03T04:05:06.789Z',
      shortcutDetails: { targetId, targetMimeType },
    });
    return id;
  }

  sharedDrive(name: string): string {
    const id = `0A${this.#newId()}`;
    this.drives.push({ id, name });
    this.items.set(id, { ...folderItem(id, name, []), driveId: id });
    return id;
  }

  answer(request: CloudRequest): CloudReply {
    if (request.host === 'oauth2.googleapis.com' && request.path === '/token') return this.oauth.token(request);
    if (request.host === 'oauth2.googleapis.com' && request.path === '/revoke')
      return this.oauth.revoke(new URLSearchParams(request.body).get('token') ?? '');
    this.requests.push(request);
    const intercepted = this.intercept?.(request) ?? this.next.shift() ?? null;
    if (intercepted !== null) return intercepted;
    if (!this.oauth.isGood(request)) return apiError(401, 'authError', 'Invalid Credentials');
    if (request.path === '/drive/v3/about') return this.#about();
    if (request.path === '/drive/v3/drives') return { body: { drives: this.drives } };
    if (request.path === '/drive/v3/files') return this.#list(request.query);
    if (request.host === 'docs.google.com') return this.#read(request, request.query.get('id') ?? '');
    const id = /^\/drive\/v3\/files\/([^/]+)$/.exec(request.path)?.[1];
    if (id === undefined) return apiError(404, 'notFound', 'Not Found');
    return request.query.get('alt') === 'media' ? this.#read(request, id) : this.#item(id);
  }

  #about(): CloudReply {
    const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
    return {
      body: {
        user: { displayName: 'Ada', emailAddress: this.email, permissionId: 'ada-permission' },
        exportFormats: { 'application/vnd.google-apps.document': [docx, 'application/pdf'] },
        importFormats: {},
      },
    };
  }

  #item(id: string): CloudReply {
    const item = this.items.get(id === 'root' ? 'root-id' : id);
    return item === undefined || item.trashed
      ? apiError(404, 'notFound', `File not found: ${id}.`)
      : { body: shown(item) };
  }

  #list(query: URLSearchParams): CloudReply {
    const q = query.get('q') ?? '';
    const parents = [...q.matchAll(/'([^']+)' in parents/g)].map((match) =>
      match[1] === 'root' ? 'root-id' : match[1],
    );
    const name = /name='((?:[^'\\]|\\.)*)'/.exec(q)?.[1]?.replace(/\\(.)/g, '$1');
    const names = [...q.matchAll(/name='((?:[^'\\]|\\.)*)'/g)].map((match) => (match[1] ?? '').replace(/\\(.)/g, '$1'));
    const contains = /name contains '((?:[^'\\]|\\.)*)'/.exec(q)?.[1]?.replace(/\\(.)/g, '$1');
    const types = [...q.matchAll(/mimeType='([^']+)'/g)].map((match) => match[1]);
    const notTypes = [...q.matchAll(/mimeType!='([^']+)'/g)].map((match) => match[1]);
    const drive = query.get('driveId');
    const found = [...this.items.values()].filter(
      (item) =>
        !item.trashed &&
        (parents.length === 0 || item.parents.some((parent) => parents.includes(parent))) &&
        (name === undefined || names.includes(item.name)) &&
        (contains === undefined || item.name.includes(contains)) &&
        (types.length === 0 || types.includes(item.mimeType)) &&
        !notTypes.includes(item.mimeType) &&
        (drive === null || item.driveId === drive) &&
        item.parents.length > 0,
    );
    const start = Number(query.get('pageToken') ?? 0);
    const size = Math.min(this.pageSize, Number(query.get('pageSize') ?? 100));
    const end = start + size;
    return {
      body: {
        files: found.slice(start, end).map(shown),
        ...(end < found.length ? { nextPageToken: String(end) } : {}),
        ...(this.incomplete ? { incompleteSearch: true } : {}),
      },
    };
  }

  #read(request: CloudRequest, id: string): CloudReply {
    const item = this.items.get(id);
    if (item?.content === undefined) return apiError(404, 'notFound', `File not found: ${id}.`);
    if (item.refusal !== undefined)
      return apiError(item.refusal.status, item.refusal.reason, `Refused: ${item.refusal.reason}`);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    if (range === null) return { body: item.content };
    const first = Number(range[1]);
    const last = range[2] ? Math.min(Number(range[2]), item.content.length - 1) : item.content.length - 1;
    return {
      status: 206,
      headers: { 'content-range': `bytes ${first}-${last}/${item.content.length}` },
      body: item.content.subarray(first, last + 1),
    };
  }

  #driveOf(parent: string): { driveId?: string } {
    const driveId = this.items.get(parent)?.driveId;
    return driveId === undefined ? {} : { driveId };
  }

  #newId(): string {
    this.#ids += 1;
    return `id${String(this.#ids).padStart(6, '0')}`;
  }
}

export function apiError(
  status: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): CloudReply {
  return {
    status,
    headers,
    body: { error: { code: status, message, errors: [{ domain: 'global', reason, message }] } },
  };
}

function folderItem(id: string, name: string, parents: string[]): DriveItem {
  return { id, name, mimeType: FOLDER, parents, modifiedTime: '2026-01-01T00:00:00.000Z' };
}

function shown({ content: _content, refusal: _refusal, ...item }: DriveItem): Omit<DriveItem, 'content' | 'refusal'> {
  return item;
}

import type { CloudReply, CloudRequest } from './cloud-fake.ts';
import { dropboxHash } from './dropbox-hash.ts';
import { OAuthFake } from './oauth-fake.ts';

interface DropboxEntry {
  readonly '.tag': 'file' | 'folder';
  readonly id: string;
  readonly name: string;
  readonly path_lower: string;
  readonly path_display: string;
  readonly content?: Buffer;
  readonly client_modified?: string;
  readonly size?: number;
  readonly is_downloadable?: boolean;
  readonly export_info?: { export_as: string; export_options: string[] };
}

/** The files of one Dropbox account, by the API v2 as rclone asks it. */
export class DropboxFake {
  readonly oauth = new OAuthFake('dropbox-client', 'dropbox-client-secret');
  readonly entries = new Map<string, DropboxEntry>();
  readonly requests: CloudRequest[] = [];
  email = 'ada@dropbox.example';
  pageSize = 2_000;
  readonly next: CloudReply[] = [];
  intercept: ((request: CloudRequest) => CloudReply | null) | null = null;
  readonly #cursors = new Map<string, DropboxEntry[]>();
  #ids = 0;

  folder(path: string): void {
    const parts = path.split('/').filter((part) => part !== '');
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const at = `/${parts.slice(0, depth).join('/')}`;
      if (this.entries.has(at.toLowerCase())) continue;
      this.#put(at, { '.tag': 'folder' });
    }
  }

  file(path: string, content: Buffer | string, more: Partial<DropboxEntry> = {}): void {
    const at = path.startsWith('/') ? path : `/${path}`;
    this.folder(at.slice(0, at.lastIndexOf('/')));
    const bytes = Buffer.from(content);
    this.#put(at, {
      '.tag': 'file',
      content: bytes,
      size: bytes.length,
      client_modified: '2026-02-03T04:05:06Z',
      is_downloadable: true,
      ...more,
    });
  }

  remove(path: string): void {
    this.entries.delete(`/${path}`.toLowerCase());
  }

  answer(request: CloudRequest): CloudReply {
    if (request.path === '/oauth2/token') return this.oauth.token(request);
    this.requests.push(request);
    const intercepted = this.intercept?.(request) ?? this.next.shift() ?? null;
    if (intercepted !== null) return intercepted;
    if (!this.oauth.isGood(request))
      return {
        status: 401,
        body: { error_summary: 'expired_access_token/..', error: { '.tag': 'expired_access_token' } },
      };
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const fields = request.body.startsWith('{') ? (JSON.parse(request.body) as Record<string, unknown>) : {};
    switch (request.path) {
      case '/2/auth/token/revoke':
        // The refresh token that an access token came from is revoked with it.
        this.oauth.revoke(token);
        this.oauth.refreshTokens.clear();
        return { body: null };
      case '/2/check/user':
        return { body: { result: fields['query'] ?? '' } };
      case '/2/users/get_current_account':
        return {
          body: {
            account_id: 'dbid:ada',
            email: this.email,
            name: {
              display_name: 'Ada',
              given_name: 'Ada',
              surname: 'L',
              familiar_name: 'Ada',
              abbreviated_name: 'AL',
            },
            root_info: { '.tag': 'user', root_namespace_id: '1', home_namespace_id: '1' },
            disabled: false,
            email_verified: true,
            locale: 'en',
            referral_link: '',
            is_paired: false,
            account_type: { '.tag': 'basic' },
          },
        };
      case '/2/files/list_folder':
        return this.#list(fields);
      case '/2/files/list_folder/continue':
        return this.#page(this.#cursors.get(String(fields['cursor'])) ?? []);
      case '/2/files/get_metadata':
        return this.#metadata(String(fields['path']));
      case '/2/files/download':
        return this.#download(request);
      case '/2/files/export':
        return this.#export(request);
      default:
        return { status: 404, body: { error_summary: 'unknown_function/..' } };
    }
  }

  #list(fields: Record<string, unknown>): CloudReply {
    const path = String(fields['path'] ?? '')
      .replace(/\/+/g, '/')
      .replace(/\/$/, '')
      .toLowerCase();
    if (path !== '' && this.entries.get(path)?.['.tag'] !== 'folder') return notFound();
    const below = [...this.entries.values()].filter((entry) => {
      const rest = entry.path_lower.startsWith(`${path}/`) ? entry.path_lower.slice(path.length + 1) : '';
      return rest !== '' && (fields['recursive'] === true || !rest.includes('/'));
    });
    return this.#page(below);
  }

  #page(entries: DropboxEntry[]): CloudReply {
    const rest = entries.slice(this.pageSize);
    const cursor = `cursor-${this.#cursors.size + 1}`;
    this.#cursors.set(cursor, rest);
    return { body: { entries: entries.slice(0, this.pageSize).map(shown), cursor, has_more: rest.length > 0 } };
  }

  #metadata(path: string): CloudReply {
    const entry = this.#find(path);
    return entry === undefined ? notFound() : { body: shown(entry) };
  }

  #download(request: CloudRequest): CloudReply {
    const { path } = JSON.parse(String(request.headers['dropbox-api-arg'])) as { path: string };
    const entry = this.#find(path);
    if (entry?.content === undefined) return notFound();
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const result = { 'dropbox-api-result': headerJson(shown(entry)) };
    if (range === null) return { headers: result, body: entry.content };
    const first = Number(range[1]);
    const last = range[2] ? Math.min(Number(range[2]), entry.content.length - 1) : entry.content.length - 1;
    return {
      status: 206,
      headers: { ...result, 'content-range': `bytes ${first}-${last}/${entry.content.length}` },
      body: entry.content.subarray(first, last + 1),
    };
  }

  #export(request: CloudRequest): CloudReply {
    const { path } = JSON.parse(String(request.headers['dropbox-api-arg'])) as { path: string };
    const entry = this.#find(path);
    if (entry?.content === undefined || entry.export_info === undefined) return notFound();
    const exported = { name: entry.name, size: entry.content.length, export_hash: dropboxHash(entry.content) };
    const result = { export_metadata: exported, file_metadata: shown(entry) };
    return { headers: { 'dropbox-api-result': headerJson(result) }, body: entry.content };
  }

  #find(path: string): DropboxEntry | undefined {
    if (path.startsWith('id:')) return [...this.entries.values()].find(({ id }) => id === path);
    return this.entries.get(path.replace(/\/+/g, '/').toLowerCase());
  }

  #put(path: string, entry: Partial<DropboxEntry> & Pick<DropboxEntry, '.tag'>): void {
    this.#ids += 1;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const id = `id:${String(this.#ids).padStart(6, '0')}`;
    this.entries.set(path.toLowerCase(), { id, name, path_lower: path.toLowerCase(), path_display: path, ...entry });
  }
}

function notFound(): CloudReply {
  const error = { '.tag': 'path', path: { '.tag': 'not_found' } };
  return { status: 409, body: { error_summary: 'path/not_found/..', error } };
}

function shown({ content, ...entry }: DropboxEntry): Record<string, unknown> {
  if (entry['.tag'] === 'folder') return entry;
  return {
    ...entry,
    server_modified: entry.client_modified,
    rev: '0123456789abcdef',
    content_hash: dropboxHash(content ?? Buffer.alloc(0)),
  };
}

/** Headers are ASCII: other characters are escaped. */
function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

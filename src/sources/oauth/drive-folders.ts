import { z } from 'zod';
import type { DriveApi } from './drive-api.ts';

export interface DriveEntry {
  readonly id: string;
  readonly name: string;
  readonly kind: 'drive' | 'folder' | 'file';
  readonly parents: readonly string[];
  readonly driveId: string | null;
}

export interface DrivePage {
  readonly items: readonly DriveEntry[];
  readonly nextPageToken: string | null;
}

export interface DriveQuery {
  readonly mode: 'drives' | 'children';
  /** `root`, or the id of a folder or shared drive. */
  readonly parentId: string;
  /** A shared drive; null: My Drive. */
  readonly driveId: string | null;
  /** Part of the names that are wanted; '' = all. */
  readonly text: string;
  readonly includeFiles: boolean;
  readonly pageToken: string | null;
  readonly pageSize: number;
}

export const DRIVE_FOLDER = 'application/vnd.google-apps.folder';

const Drives = z.object({
  drives: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
  nextPageToken: z.string().optional(),
});
const Files = z.object({
  files: z
    .array(
      z.object({
        id: z.string(),
        name: z.string(),
        mimeType: z.string(),
        parents: z.array(z.string()).default([]),
        driveId: z.string().optional(),
      }),
    )
    .default([]),
  nextPageToken: z.string().optional(),
  incompleteSearch: z.boolean().default(false),
});

/** Folders of a Google Drive, for a picker; reads names and ids only. */
export class DriveFolders {
  readonly #api: DriveApi;

  constructor(api: DriveApi) {
    this.#api = api;
  }

  /** @throws BackupError as `DriveApi.get` */
  async page(query: DriveQuery, signal?: AbortSignal): Promise<DrivePage> {
    return query.mode === 'drives' ? await this.#drives(query, signal) : await this.#children(query, signal);
  }

  async #drives(query: DriveQuery, signal: AbortSignal | undefined): Promise<DrivePage> {
    const answer = await this.#api.get(
      'drives',
      { pageSize: String(Math.min(query.pageSize, 100)), ...paging(query) },
      signal,
    );
    const { drives, nextPageToken } = Drives.parse(answer);
    const items = drives
      .filter(({ name }) => name.toLowerCase().includes(query.text.toLowerCase()))
      .map(({ id, name }): DriveEntry => ({ id, name, kind: 'drive', parents: [], driveId: id }));
    return { items, nextPageToken: nextPageToken ?? null };
  }

  async #children(query: DriveQuery, signal: AbortSignal | undefined): Promise<DrivePage> {
    const conditions = [
      'trashed=false',
      `'${quoted(query.parentId)}' in parents`,
      ...(query.includeFiles ? [] : [`mimeType='${DRIVE_FOLDER}'`]),
      ...(query.text === '' ? [] : [`name contains '${quoted(query.text)}'`]),
    ];
    const answer = await this.#api.get(
      'files',
      {
        q: conditions.join(' and '),
        fields: 'nextPageToken,incompleteSearch,files(id,name,mimeType,parents,driveId)',
        orderBy: 'folder,name_natural',
        pageSize: String(query.pageSize),
        supportsAllDrives: 'true',
        includeItemsFromAllDrives: 'true',
        ...(query.driveId === null ? { corpora: 'user' } : { corpora: 'drive', driveId: query.driveId }),
        ...paging(query),
      },
      signal,
    );
    const { files, nextPageToken } = Files.parse(answer);
    const items = files.map(({ id, name, mimeType, parents, driveId }): DriveEntry => ({
      id,
      name,
      kind: mimeType === DRIVE_FOLDER ? 'folder' : 'file',
      parents,
      driveId: driveId ?? null,
    }));
    return { items, nextPageToken: nextPageToken ?? null };
  }
}

function paging({ pageToken }: DriveQuery): Record<string, string> {
  return pageToken === null ? {} : { pageToken };
}

/** Inside of a quoted text of Drive's query language. */
function quoted(text: string): string {
  return text.replace(/[\\']/g, '\\$&');
}

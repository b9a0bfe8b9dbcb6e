import { z } from 'zod';
import type { ListingOutcome } from '../../engines/port.ts';
import { pathOfNativeName } from '../../layout/encoding.ts';
import type { DriveApi } from './drive-api.ts';
import { DRIVE_FOLDER } from './drive-folders.ts';

const Folder = z.object({ id: z.string(), name: z.string(), parents: z.array(z.string()).default([]) });
const Page = z.object({ files: z.array(Folder).default([]), nextPageToken: z.string().optional() });
type Folder = z.infer<typeof Folder>;

/**
 * Folders of a Google Drive that have the name of another one beside them. A path leads to one of them only, and rclone's listing shows
 * that one twice and the others not at all. One request tells a thousand folders.
 * @param root id of the folder that the paths begin at (`root`: My Drive)
 * @param below the path below it that a backup begins at; '' = all
 */
export async function hiddenFolders(
  api: DriveApi,
  place: { root: string; teamDrive: string | null; below: string },
  signal: AbortSignal,
): Promise<ListingOutcome['skipped']> {
  const folders = new Map<string, Folder>();
  for await (const folder of allFolders(api, place.teamDrive, signal)) folders.set(folder.id, folder);
  const names = new Map<string, Folder[]>();
  for (const folder of folders.values()) {
    const key = `${folder.parents[0] ?? ''}/${folder.name}`;
    names.set(key, [...(names.get(key) ?? []), folder]);
  }
  const hidden = [...names.values()].flatMap((group) => group.slice(1));
  if (hidden.length === 0) return [];
  const { id: rootId } = z.object({ id: z.string() }).parse(await api.get(`files/${place.root}`, FIELDS, signal));
  return hidden.flatMap((folder) => {
    const path = pathBelow(place.below, pathOf(folder, folders, rootId));
    return path === null ? [] : [{ path, reason: 'duplicate' as const }];
  });
}

const FIELDS = { fields: 'id', supportsAllDrives: 'true' };

async function* allFolders(api: DriveApi, teamDrive: string | null, signal: AbortSignal): AsyncGenerator<Folder> {
  let token: string | undefined;
  do {
    const answer = await api.get(
      'files',
      {
        q: `trashed=false and mimeType='${DRIVE_FOLDER}'`,
        fields: 'nextPageToken,files(id,name,parents)',
        pageSize: '1000',
        supportsAllDrives: 'true',
        includeItemsFromAllDrives: 'true',
        ...(teamDrive === null ? { corpora: 'user' } : { corpora: 'drive', driveId: teamDrive }),
        ...(token === undefined ? {} : { pageToken: token }),
      },
      signal,
    );
    const page = Page.parse(answer);
    yield* page.files;
    token = page.nextPageToken;
  } while (token !== undefined);
}

/** In rclone's spelling; null: it does not lie below the root. */
function pathOf(folder: Folder, folders: ReadonlyMap<string, Folder>, rootId: string): string | null {
  const names: string[] = [];
  const seen = new Set<string>();
  for (let at: Folder | undefined = folder; at !== undefined && !seen.has(at.id);) {
    seen.add(at.id);
    // A slash is a character like any other there.
    names.unshift(at.name.split('/').map(pathOfNativeName).join('／'));
    const parent = at.parents[0] ?? '';
    if (parent === rootId) return names.join('/');
    at = folders.get(parent);
  }
  return null;
}

/** '' for the folder that the backup begins at itself, and for one above it: what lies in the other one of that name is left out as well. */
function pathBelow(below: string, path: string | null): string | null {
  if (path === null || below === '') return path;
  if (path === below || below.startsWith(`${path}/`)) return '';
  return path.startsWith(`${below}/`) ? path.slice(below.length + 1) : null;
}

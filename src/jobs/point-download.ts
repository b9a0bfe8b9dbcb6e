import { ArchiveReader } from '../archive/archive-reader.ts';
import { windowsName } from '../browse/archive-names.ts';
import type { ArchiveFormat } from '../browse/archive-writer.ts';
import { archiveOf } from '../browse/download.ts';
import { readChecked, type Objects } from '../browse/object-content.ts';
import type { OpenPoint } from '../browse/open-point.ts';
import { countSelected, normaliseSelection, selectedEntries } from '../browse/selection.ts';
import { recordAudit } from '../database/audit.ts';
import type { ReadablePoint } from '../database/readable-points.ts';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { Entry } from '../layout/types.ts';
import type { PointReader } from './browse-service.ts';
import type { PointDownload } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { PointHold } from './point-hold.ts';

/** A zip ends with a list of its files, which is kept in memory until then. */
const MOST_FILES_OF_A_ZIP = 50_000;
/** Of what was chosen, in the audit log. */
const PATHS_TOLD = 50;

interface Context {
  readonly parts: ServiceParts;
  readonly clientId: number;
  readonly point: ReadablePoint;
  readonly reader: PointReader;
}

interface Request {
  readonly paths: readonly string[];
  readonly format: ArchiveFormat | 'file';
}

/** As `BrowseService.download`. */
export async function startDownload(context: Context, request: Request): Promise<PointDownload> {
  const { parts, clientId, point, reader } = context;
  const selection = normaliseSelection(request.paths);
  const leave = parts.downloads.take(clientId);
  try {
    const open = await reader.open(point);
    const files = await countSelected(open, selection);
    if (request.format === 'zip' && files > MOST_FILES_OF_A_ZIP) throw new BackupError('DOWNLOAD_TOO_LARGE');
    const file = request.format === 'file' ? await onlyFile(open, selection) : null;
    const store = await reader.store(point, { patient: true });
    const cipher = await reader.cipher(point);
    const hold = await holdAndTell(context, { ...request, paths: selection, files });
    const objectsFor = (wanted: AbortSignal): Objects => {
      const signal = AbortSignal.any([wanted, hold.lost]);
      const place = { store, prefix: point.prefix, cipher, signal };
      return { ...place, archives: new ArchiveReader(place) };
    };
    return {
      ...descriptionOf(point, { ...request, paths: selection }, file),
      body: (signal) =>
        file === null
          ? archive({ open, selection, point, format: request.format === 'tar' ? 'tar' : 'zip' }, objectsFor(signal))
          : readChecked(objectsFor(signal), file),
      close: async () => {
        leave();
        await hold.release();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

function archive(
  about: { open: OpenPoint; selection: readonly string[]; point: ReadablePoint; format: ArchiveFormat },
  objects: Objects,
): AsyncIterable<Uint8Array> {
  return archiveOf({
    entries: selectedEntries(about.open, about.selection),
    objects,
    format: about.format,
    point: { id: about.point.uuid, takenAt: new Date(about.point.createdAt).toISOString() },
  });
}

/** The one file that was chosen. @throws BackupError `INVALID_INPUT`, `PATH_NOT_FOUND` when the point has no version of it */
async function onlyFile(open: OpenPoint, selection: readonly string[]): Promise<Entry> {
  const [path = ''] = selection;
  const entry = selection.length === 1 && path !== '' ? await open.find(path) : null;
  if (entry === null) throw invalidFields([['paths', 'must be one file, for the format "file"']]);
  if (entry.state === 'failed') {
    throw new BackupError(
      'PATH_NOT_FOUND',
      'The restore point has no version of this file: it could not be read at that time. Look into its other versions.',
    );
  }
  return entry;
}

async function holdAndTell(
  { parts, clientId, point }: Context,
  about: Request & { readonly files: number },
): Promise<PointHold> {
  const hold = await PointHold.take(parts.database, { id: point.id, by: parts.newId() });
  try {
    await recordAudit(parts.database, {
      ...clientActor(clientId),
      action: 'point.downloaded',
      targetKind: 'point',
      targetId: point.uuid,
      params: {
        job: point.jobUuid,
        format: about.format,
        files: about.files,
        paths: about.paths.slice(0, PATHS_TOLD),
        paths_total: about.paths.length,
      },
    });
    return hold;
  } catch (error) {
    await hold.release();
    throw error;
  }
}

function descriptionOf(
  point: ReadablePoint,
  { format, paths }: Request,
  file: Entry | null,
): Pick<PointDownload, 'fileName' | 'contentType' | 'length'> {
  if (file !== null) {
    return { fileName: lastNameOf(file.path), contentType: 'application/octet-stream', length: file.size };
  }
  const [only = ''] = paths;
  const about = paths.length === 1 && only !== '' ? lastNameOf(only) : windowsName(point.jobName.replaceAll('/', '-'));
  const day = new Date(point.createdAt).toISOString().slice(0, 10);
  return {
    fileName: `${about} ${day}.${format}`,
    contentType: format === 'tar' ? 'application/x-tar' : 'application/zip',
    length: null,
  };
}

function lastNameOf(path: string): string {
  return windowsName(path.slice(path.lastIndexOf('/') + 1));
}

import type { Entry } from '../layout/types.ts';
import { DistinctNames, unixName, windowsName } from './archive-names.ts';
import { archiveWriter, type ArchiveFormat, type ArchiveWriter } from './archive-writer.ts';
import { DownloadReport, REPORT_NAME } from './download-report.ts';
import { inspectObject, readChecked, readWhole, WHOLE_BYTES, type Gap, type Objects } from './object-content.ts';

/** Small files that are on their way while one is written: as many, and as many bytes. */
const FILES_AHEAD = 16;
const BYTES_AHEAD = 8 * 1024 * 1024;

export interface ArchiveRequest {
  readonly entries: AsyncIterable<Entry>;
  readonly objects: Objects;
  readonly format: ArchiveFormat;
  /** For the report. */
  readonly point: { readonly id: string; readonly takenAt: string };
}

/**
 * The entries as one archive. A file that is missing, or that is seen to be damaged before a byte of it was sent, is left out and named in
 * `RESTORE-REPORT.txt` at the end. What shows only while a large file is being sent (other content than was stored, a bucket that falls silent)
 * ends the archive in its middle with an error, so that it cannot pass for whole.
 */
export async function* archiveOf(request: ArchiveRequest): AsyncGenerator<Uint8Array> {
  const writer = await archiveWriter(request.format);
  const writing = writeAll(writer, request).then(
    () => writer.end(),
    (error: unknown) => writer.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    yield* writer.output;
  } finally {
    // Without effect on an archive that is complete.
    writer.destroy(new Error('nobody reads the archive any more'));
    await writing;
  }
}

async function writeAll(writer: ArchiveWriter, request: ArchiveRequest): Promise<void> {
  const { objects, format } = request;
  const report = new DownloadReport();
  const distinct = format === 'zip' ? new DistinctNames() : null;
  let reportName: string = REPORT_NAME;
  for await (const { entry, content } of contents(request.entries, objects)) {
    const taken = await content;
    if (typeof taken === 'string') {
      report.note(taken, entry.path);
      continue;
    }
    const name = distinct === null ? unixName(entry.path) : distinct.take(windowsName(entry.path));
    if (name === REPORT_NAME) reportName = 'RESTORE-REPORT (of this download).txt';
    if (name !== entry.path) report.note('renamed', entry.path, name);
    if (entry.state === 'carried') report.note('older_version', entry.path);
    const checked = taken ?? readChecked(objects, entry);
    await writer.add({ name, size: entry.size, mtime: Date.parse(entry.mtime), content: checked });
    report.added();
  }
  const text = report.text({ point: request.point.id, takenAt: request.point.takenAt });
  if (text === null) return;
  const body = Buffer.from(text, 'utf8');
  await writer.add({ name: reportName, size: body.length, mtime: Date.parse(request.point.takenAt), content: body });
}

/** A small file's bytes, what is wrong with a file, or null: it is large and has to be read piece by piece. */
type Content = Promise<Buffer | Gap | null>;

/** Entries with their content, in order; small ones are fetched ahead. */
async function* contents(
  entries: AsyncIterable<Entry>,
  objects: Objects,
): AsyncGenerator<{ entry: Entry; content: Content }> {
  const ahead: { entry: Entry; content: Content }[] = [];
  let bytes = 0;
  for await (const entry of entries) {
    const small = entry.size <= WHOLE_BYTES;
    const content: Content = small ? readWhole(objects, entry) : inspectObject(objects, entry);
    // Its error is thrown when its turn comes; until then it must not count as unhandled.
    content.catch(() => undefined);
    ahead.push({ entry, content });
    bytes += small ? entry.size : 0;
    while (ahead.length > FILES_AHEAD || bytes > BYTES_AHEAD) {
      const next = ahead.shift();
      if (next === undefined) break;
      if (next.entry.size <= WHOLE_BYTES) bytes -= next.entry.size;
      yield next;
    }
  }
  yield* ahead;
}

/** One file as itself. */
export function fileOf(objects: Objects, entry: Entry): AsyncGenerator<Uint8Array> {
  return readChecked(objects, entry);
}

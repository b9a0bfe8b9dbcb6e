import type { Gap } from './object-content.ts';

export const REPORT_NAME = 'RESTORE-REPORT.txt';
const LINES_OF_ONE_KIND = 10_000;

type Notice = Gap | 'older_version' | 'renamed';

const words: Readonly<Record<Notice, string>> = {
  missing: 'NOT IN THIS ARCHIVE: the object that holds the file is missing in the bucket',
  damaged: 'NOT IN THIS ARCHIVE: what lies in the bucket is not what was backed up',
  not_in_point: 'NOT IN THIS ARCHIVE: the file could not be read when this restore point was made',
  older_version: 'In an older version, because the file could not be read when this restore point was made',
  renamed: 'Under another name, because the archive could not have it twice or Windows could not write it',
};
const LEFT_OUT: readonly Notice[] = ['missing', 'damaged', 'not_in_point'];

/** What a downloaded archive does not hold as the restore point has it. */
export class DownloadReport {
  readonly #lines = new Map<Notice, string[]>();
  readonly #counts = new Map<Notice, number>();
  #files = 0;

  /** A file is in the archive. */
  added(): void {
    this.#files += 1;
  }

  note(notice: Notice, path: string, detail = ''): void {
    const lines = this.#lines.get(notice) ?? [];
    this.#lines.set(notice, lines);
    this.#counts.set(notice, (this.#counts.get(notice) ?? 0) + 1);
    if (lines.length < LINES_OF_ONE_KIND) lines.push(detail === '' ? path : `${path}  →  ${detail}`);
  }

  get leftOut(): number {
    return LEFT_OUT.reduce((sum, notice) => sum + (this.#counts.get(notice) ?? 0), 0);
  }

  /** The text of the report, or null: there is nothing to say. */
  text(about: { readonly point: string; readonly takenAt: string }): string | null {
    if (this.#lines.size === 0) return null;
    const sections = (Object.keys(words) as Notice[]).flatMap((notice) => {
      const lines = this.#lines.get(notice) ?? [];
      const count = this.#counts.get(notice) ?? 0;
      if (count === 0) return [];
      const more = count > lines.length ? [`  … and ${count - lines.length} more`] : [];
      return ['', `${words[notice]} (${count}):`, ...lines.map((line) => `  ${line}`), ...more];
    });
    return [
      `Restore point of ${about.takenAt} (${about.point})`,
      `Files in this archive: ${this.#files}. Files left out: ${this.leftOut}.`,
      ...sections,
      '',
    ].join('\r\n');
  }
}

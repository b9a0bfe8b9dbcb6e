import { isBackupError } from '../errors/backup-error.ts';
import { storedForm, type Secrets } from './envelope.ts';
import { secretLabels, type SecretLabel } from './labels.ts';

/**
 * Re-encryption of our columns under the current key, while everything runs. Each row is rewritten by itself, and only if it still holds what
 * was read: a concurrent writer is never undone. So it can be killed at any point and run again, and two of them do no harm.
 */
export interface SecretRow {
  readonly id: number;
  readonly uuid: string;
  readonly value: string;
}

export interface SecretStore {
  /** All rows of the label's column that hold a value, in the order of their numbers. */
  rows(label: SecretLabel): AsyncIterable<SecretRow>;
  read(label: SecretLabel, id: number): Promise<SecretRow | null>;
  /** Writes only where the row still holds `row.value`; false when it does not. */
  replace(label: SecretLabel, row: SecretRow, value: string): Promise<boolean>;
}

export interface UnreadableSecret {
  readonly label: SecretLabel;
  readonly uuid: string;
  readonly reason: 'damaged' | 'key not configured';
}

export interface ColumnReport {
  readonly label: SecretLabel;
  /** Values looked at. */
  total: number;
  /** Key id, `legacy` or `unreadable` → number of values that were stored so when they were read. */
  readonly found: Map<string, number>;
  rewritten: number;
}

export interface RotationReport {
  readonly columns: readonly ColumnReport[];
  /** Left as they were. */
  readonly unreadable: readonly UnreadableSecret[];
  /** Values that can be read and are not under the current key: `--check`, or the rotation was stopped. */
  readonly remaining: number;
  readonly stopped: boolean;
}

export interface RotationOptions {
  readonly secrets: Secrets;
  readonly store: SecretStore;
  /** Only count and try to open; nothing is changed. */
  readonly checkOnly?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (column: Readonly<ColumnReport>) => void;
}

/** A value that changes this often while it is rewritten is left to the next run. */
const TRIES = 5;

export async function rotateKeys(options: RotationOptions): Promise<RotationReport> {
  const columns: ColumnReport[] = [];
  const unreadable: UnreadableSecret[] = [];
  let remaining = 0;
  for (const label of secretLabels) {
    if (options.signal?.aborted) break;
    const column: ColumnReport = { label, total: 0, found: new Map(), rewritten: 0 };
    columns.push(column);
    for await (const row of options.store.rows(label)) {
      if (options.signal?.aborted) break;
      column.total += 1;
      const form = formOf(row.value);
      column.found.set(form, (column.found.get(form) ?? 0) + 1);
      const outcome = await rewrite(options, label, row);
      if (outcome === 'rewritten') column.rewritten += 1;
      else if (outcome === 'remains') remaining += 1;
      else if (outcome !== 'current') unreadable.push({ label, uuid: row.uuid, reason: outcome });
      options.onProgress?.(column);
    }
  }
  return { columns, unreadable, remaining, stopped: options.signal?.aborted ?? false };
}

type Outcome = 'current' | 'rewritten' | 'remains' | UnreadableSecret['reason'];

async function rewrite(options: RotationOptions, label: SecretLabel, found: SecretRow): Promise<Outcome> {
  const { secrets, store } = options;
  let row: SecretRow | null = found;
  for (let tries = 0; tries < TRIES; tries += 1) {
    // The row is gone: there is nothing left to protect.
    if (row === null) return 'current';
    let text: string;
    try {
      // Values under the current key are opened too, so that damage is found before it matters.
      text = secrets.open(label, row.uuid, row.value);
    } catch (error) {
      if (isBackupError(error, 'ERR_KEY_UNKNOWN')) return 'key not configured';
      if (isBackupError(error, 'ERR_SECRET_CORRUPT')) return 'damaged';
      throw error;
    }
    if (formOf(row.value) === secrets.current.keyId) return 'current';
    if (options.checkOnly) return 'remains';
    if (await store.replace(label, row, secrets.seal(label, row.uuid, text))) return 'rewritten';
    row = await store.read(label, row.id);
  }
  return 'remains';
}

function formOf(value: string): string {
  const form = storedForm(value);
  return form.kind === 'v2' ? form.keyId : form.kind;
}

import { z } from 'zod';
import type { ClientServices } from '../../jobs/client.ts';
import { RunFileKindField, type RunFileView } from '../../protocol/proofs.ts';
import type { ShownState } from './run-words.ts';

const ROWS = 50;

/** Fields of the address of a run's page that choose among the files of its report. */
export const runFilesQuery = {
  kind: RunFileKindField.optional(),
  text: z.string().trim().max(200).default(''),
  after: z.coerce.number().int().nonnegative().default(0),
};

export interface RunFilesModel {
  readonly rows: readonly {
    readonly path: string;
    readonly state: ShownState | { readonly kind: 'idle'; readonly word: string };
    readonly reason: string;
    readonly code: string;
  }[];
  readonly chips: readonly {
    readonly label: string;
    readonly count: number;
    readonly href: string;
    readonly current: boolean;
  }[];
  readonly kind: string;
  readonly text: string;
  /** Of the page that follows, as the query of an address; null at the end. */
  readonly next: string | null;
  readonly first: boolean;
  readonly download: string;
  /** More files than are kept by name. */
  readonly cut: { readonly kept: number; readonly total: number } | null;
}

/** The report of a run's files; null where there is nothing to report. */
export async function runFilesModel(
  client: ClientServices,
  runId: string,
  query: { readonly kind?: RunFileView['kind'] | undefined; readonly text: string; readonly after: number },
): Promise<RunFilesModel | null> {
  const totals = await client.proofs.fileTotals(runId);
  const kinds = RunFileKindField.options.filter((kind) => (totals[kind] ?? 0) > 0);
  if (kinds.length === 0) return null;
  const { kind, text, after } = query;
  const page = await client.proofs.files(runId, { kind, text, after, limit: ROWS });
  const total = kinds.reduce((sum, one) => sum + (totals[one] ?? 0), 0);
  return {
    rows: page.rows.map(({ path, kind: of, reason, code }) => ({ path, state: states[of], reason, code })),
    chips: [
      { label: 'All', count: total, href: address({ text }), current: kind === undefined },
      ...kinds.map((one) => ({
        label: states[one].word,
        count: totals[one] ?? 0,
        href: address({ kind: one, text }),
        current: kind === one,
      })),
    ],
    kind: kind ?? '',
    text,
    next: page.next === null ? null : address({ kind, text, after: page.next }),
    first: after === 0,
    download: address({ run_id: runId, kind, text }),
    cut: total > KEPT ? { kept: KEPT, total } : null,
  };
}

/** As many rows as a report has (src/database/run_files.ts). */
const KEPT = 10_000;

function address(fields: Readonly<Record<string, string | number | undefined>>): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== '') given.set(name, String(value));
  return `?${given.toString()}`;
}

const states: Readonly<Record<RunFileView['kind'], RunFilesModel['rows'][number]['state']>> = {
  carried: { kind: 'warning', word: 'Older version kept' },
  failed: { kind: 'failed', word: 'Not backed up' },
  skipped: { kind: 'cancelled', word: 'Left out' },
  missing: { kind: 'failed', word: 'Missing' },
  differs: { kind: 'failed', word: 'Differs' },
  size_only: { kind: 'warning', word: 'Compared by size only' },
  changed_since: { kind: 'idle', word: 'Changed since' },
};

import { z } from 'zod';
import { BackupError, isBackupError } from '../../errors/backup-error.ts';
import type { ClientServices } from '../../jobs/client.ts';
import { PlaceCursor, PointPath } from '../../protocol/browse.ts';
import { Cursor, JobId, PointId, RunId } from '../../protocol/fields.ts';
import type { PointView } from '../../protocol/run.ts';
import { readWall } from '../../schedule/zone.ts';
import { page, view, type PageAnswer, type PageRequest } from '../page.ts';
import { browsed, problemIn, type Browsed } from './restore-browse.ts';
import { pointRow } from './rows.ts';

const POINTS_SHOWN = 12;

/** What is looked at in the chosen point: a folder, or instead of it a search, the versions of one file, or a comparison. */
const query = z.object({
  folder: PointPath.default(''),
  cursor: PlaceCursor,
  q: z.string().trim().max(200).default(''),
  versions: PointPath.default(''),
  compare: PointId.optional(),
  /** Older points of the time line. */
  points: Cursor,
});
export type RestoreQuery = z.infer<typeof query>;

/** Restore from the point of a run: what, where to, how. */
export const restorePage = page({
  path: '/runs/:run_id/restore',
  caller: 'client',
  section: '/runs',
  rate: 'browse',
  params: z.object({ run_id: RunId }),
  query,
  handle: async ({ client, params, query: asked, request }) => {
    const run = await client.runs.get(params.run_id);
    if (run.point?.state !== 'kept') throw new BackupError('POINT_NOT_FOUND');
    const job = { id: run.job_id, name: run.job_name };
    return await show(client, { job, point: run.point, asked, request, here: `/runs/${run.run_id}/restore` });
  },
});

/** The same from a job: its newest point, the one that is named, or the one of a moment. */
export const restoreJobPage = page({
  path: '/jobs/:job_id/restore',
  caller: 'client',
  section: '/jobs',
  rate: 'browse',
  params: z.object({ job_id: JobId }),
  query: query.extend({ point: PointId.optional(), moment: z.string().trim().max(40).default('') }),
  handle: async ({ client, params: { job_id: jobId }, query: asked, request }) => {
    const { point, tooEarly } = await chosenPoint(client, jobId, asked, request.timezone);
    // A deleted job is known by its runs only, and what it backed up can still be restored.
    const name =
      point === null ? (await client.jobs.get(jobId)).job.name : (await client.runs.get(point.run_id)).job_name;
    const here = `/jobs/${jobId}/restore${point === null ? '' : `?point=${point.point_id}`}`;
    return await show(client, { job: { id: jobId, name }, point, asked, request, here, tooEarly });
  },
});

async function chosenPoint(
  client: ClientServices,
  jobId: string,
  asked: { readonly point?: string | undefined; readonly moment: string },
  timezone: string,
): Promise<{ point: PointView | null; tooEarly: boolean }> {
  if (asked.point !== undefined) {
    const point = await client.points.get(asked.point);
    if (point.job_id !== jobId) throw new BackupError('POINT_NOT_FOUND');
    return { point, tooEarly: false };
  }
  const moment = momentOf(asked.moment, timezone);
  if (moment !== null) {
    try {
      const { pointId } = await client.browse.pointAt(jobId, moment);
      return { point: await client.points.get(pointId), tooEarly: false };
    } catch (error) {
      if (!isBackupError(error, 'POINT_NOT_FOUND')) throw error;
    }
  }
  const { rows } = await client.points.list({ jobId, limit: 1 });
  return { point: rows[0] ?? null, tooEarly: moment !== null && rows.length > 0 };
}

/** Of the year 9999: further years are written otherwise, and clocks of zones end somewhere. */
const LAST_MOMENT = Date.UTC(9999, 11, 30);

/** Epoch milliseconds (a page with scripts sends them), ISO with a zone, or `2025-11-04T14:05` on the clock of the zone. */
function momentOf(text: string, timezone: string): number | null {
  if (/^\d{10,14}$/.test(text)) return Number(text);
  const at = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  if (text === '' || !(at >= 0 && at <= LAST_MOMENT)) return null;
  if (/(?:Z|[+-]\d\d:?\d\d)$/.test(text)) return at;
  const { instants, gap } = readWall(at, timezone);
  return instants[0] ?? gap?.at ?? null;
}

interface Shown {
  readonly job: { readonly id: string; readonly name: string };
  readonly point: PointView | null;
  readonly asked: RestoreQuery;
  readonly request: PageRequest;
  /** Address of this page with this point. */
  readonly here: string;
  readonly tooEarly?: boolean;
}

async function show(client: ClientServices, shown: Shown): Promise<PageAnswer> {
  const { job, point, asked, request, here } = shown;
  const [line, buckets, service, toSource] = await Promise.all([
    client.points.list({ jobId: job.id, cursor: asked.points, limit: POINTS_SHOWN }),
    client.buckets.list(),
    client.serviceState(),
    mayWriteBack(client, job.id),
  ]);
  const browse = point === null ? null : await browsedOrWhy(client, { job: job.id, point, asked });
  const separator = here.includes('?') ? '&' : '?';
  return view('pages/restore.njk', {
    job,
    point: point === null ? null : pointRow(point),
    tooEarly: shown.tooEarly === true,
    service,
    line: {
      points: line.rows.map((row) => ({ ...pointRow(row), current: row.point_id === point?.point_id })),
      next: line.next,
      first: asked.points === undefined,
    },
    here,
    link: `${here}${separator}`,
    formAddress: here.replace(/\?.*$/, ''),
    asked,
    browse,
    buckets,
    toSource,
    suggestion: suggestedPrefix(job.name, point?.created_at_epoch_ms ?? request.now),
  });
}

/** False for sources that are only read. Of a deleted job it turns out when the restore is started. */
async function mayWriteBack(client: ClientServices, jobId: string): Promise<boolean> {
  try {
    return (await client.jobs.get(jobId)).source.writable;
  } catch (error) {
    if (isBackupError(error, 'JOB_NOT_FOUND')) return true;
    throw error;
  }
}

/** A point that cannot be read is told in the place of its files: the rest of the page stands. */
async function browsedOrWhy(
  client: ClientServices,
  about: { job: string; point: PointView; asked: RestoreQuery },
): Promise<Browsed | { readonly problem: object }> {
  try {
    return await browsed(client, about);
  } catch (error) {
    const problem = problemIn(error);
    if (problem === null) throw error;
    return { problem };
  }
}

/** `restore/web-server-2025-11-04/`: readable, and hardly ever taken. */
function suggestedPrefix(jobName: string, at: number): string {
  const name = jobName
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return `restore/${name === '' ? 'job' : name}-${new Date(at).toISOString().slice(0, 10)}/`;
}

import { z } from 'zod';
import { Cursor, HostRowId } from '../../protocol/fields.ts';
import type { AdminRunView, WorkerView } from '../../protocol/admin.ts';
import { RunStatusField } from '../../protocol/run.ts';
import { page, view } from '../page.ts';
import { runRow } from './rows.ts';
import { runState, type ShownState } from './run-words.ts';

const shownStatuses = ['queued', 'starting', 'running', 'success', 'warning', 'failed', 'cancelled'] as const;

/** Runs of all clients and the workers that carry them out; a run can be stopped by force. */
export const adminPage = page({
  path: '/',
  caller: 'admin',
  navigation: 'Runs and workers',
  query: z.object({
    client: z.union([z.literal('').transform(() => undefined), HostRowId]).optional(),
    status: z.union([z.literal('').transform(() => undefined), RunStatusField]).optional(),
    cursor: Cursor,
  }),
  handle: async ({ admin, query }) => {
    const filter = { clientId: query.client, status: query.status };
    const [runs, workers] = await Promise.all([
      admin.listRuns({ ...filter, cursor: query.cursor, limit: 50 }),
      admin.listWorkers(),
    ]);
    return view('pages/admin.njk', {
      workers: workers.map(workerRow),
      filter: { client: query.client ?? '', status: query.status ?? '' },
      statuses: shownStatuses.map((status) => ({ status, word: runState({ status, skipped: false }).word })),
      runs: { rows: runs.rows.map(adminRow), next: runs.next, first: query.cursor === undefined },
      here: address(filter),
      live: query.cursor === undefined,
    });
  },
});

function adminRow(run: AdminRunView) {
  const active = run.finished_at_epoch_ms === null;
  return {
    ...runRow({ ...run }),
    state: runState(run),
    clientId: run.client_id,
    client: run.client_name ?? run.client_email ?? `Client ${run.client_id}`,
    email: run.client_email,
    worker: run.worker_host,
    speed: run.status === 'running' && run.speed_bytes_per_sec > 0 ? run.speed_bytes_per_sec : null,
    stoppable: active && !run.stopping,
  };
}

function workerRow(worker: WorkerView) {
  return {
    hostname: worker.hostname,
    state: workerState(worker),
    load: `${worker.active_runs} of ${worker.max_concurrent}`,
    version: worker.version,
    tools: Object.entries(worker.tools)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    startedAt: worker.started_at_epoch_ms,
    seenAt: worker.last_seen_at_epoch_ms,
  };
}

function workerState(worker: WorkerView): ShownState {
  if (worker.state === 'stopped') return { kind: 'cancelled', word: 'Stopped' };
  if (!worker.alive) return { kind: 'failed', word: 'Silent' };
  return worker.state === 'stopping' ? { kind: 'waiting', word: 'Stopping' } : { kind: 'good', word: 'Running' };
}

function address(filter: { clientId: number | undefined; status: string | undefined }): string {
  const query = new URLSearchParams();
  if (filter.clientId !== undefined) query.set('client', String(filter.clientId));
  if (filter.status !== undefined) query.set('status', filter.status);
  return query.size === 0 ? '' : `?${query}`;
}

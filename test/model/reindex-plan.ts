import type { ReindexPlan } from '../../src/layout/reindex.ts';
import type { ModelDatabase } from './database.ts';

/** As src/database/reindex.ts. */
export function applyPlan(database: ModelDatabase, plan: ReindexPlan): void {
  const { tables } = database;
  const listed = new Set(plan.runs.map(({ run }) => run));
  // A run that is in no bucket and not over: restored in the middle of its life, or the one that only asked.
  tables.runs = tables.runs.filter((run) => listed.has(run.uuid) || database.isTerminal(run));
  for (const { run, claim, status } of plan.runs) {
    const row = database.run(run);
    if (row === undefined) tables.runs.push({ uuid: run, claim, claimName: '', status, token: -1, attempt: 0 });
    else {
      row.claim = claim;
      row.token = -1;
      if (!database.isTerminal(row)) row.status = status;
    }
  }
  for (const point of tables.points) {
    if (plan.lost.includes(point.uuid)) point.state = 'pruned';
    if (plan.deleting.includes(point.uuid)) point.state = 'deleting';
    if (plan.lost.includes(point.uuid) || plan.deleting.includes(point.uuid)) point.holds = [];
  }
  for (const { manifest, key, sha256, known } of plan.points) {
    const columns = {
      ...manifest,
      manifestKey: key,
      manifestSha256: sha256,
      createdAt: manifest.created_at,
      sourceType: 'model',
    };
    const row = tables.points.find(({ uuid }) => uuid === known);
    if (row !== undefined) {
      Object.assign(row, columns);
      continue;
    }
    tables.points = tables.points.filter(({ run, state }) => run !== manifest.run || state !== 'pruned');
    database.addPoint(columns);
  }
  tables.generation = plan.generation;
  tables.frozen = plan.frozen;
}

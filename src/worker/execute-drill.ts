import { appendEvents } from '../database/events.ts';
import { finishRun } from '../database/leases.ts';
import { lastCanary, recordDrill } from '../database/proofs.ts';
import { findKeptPoint, holdNewestPoint, releaseHolds } from '../database/restore-points.ts';
import type { Transaction } from '../database/connect.ts';
import { BackupError } from '../errors/backup-error.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { Drill } from '../restore/drill.ts';
import { reachable } from './ledger.ts';
import { damageEvents, openPoint, recordTally } from './proof-parts.ts';
import type { RunScope } from './run-scope.ts';

/** What one restore test reads at most. */
const MAX_FILES = 25;
const MAX_BYTES = 256 * 1024 * 1024;

/** One claim of a restore test: files of the newest point at random and the canary, read back whole and compared. */
export async function executeDrill(scope: RunScope): Promise<void> {
  const { services, active, job, reporter } = scope;
  const { database } = services;
  const hold = await holdNewestPoint(database, {
    jobId: job.id,
    runUuid: active.run.uuid,
    purpose: 'drill',
    ttlMs: active.leaseMs * 4,
  });
  if (hold === null) throw new BackupError('POINT_NOT_FOUND');
  active.watchHolds([hold.token]);
  const point = await findKeptPoint(database, job.clientId, { point: hold.point.uuid });
  if (point === null) throw new BackupError('POINT_NOT_FOUND');
  reporter.event(event('DRILL_START'));
  const { points } = await openPoint(scope, point);
  const drill = new Drill({
    points,
    place: { run: point.runUuid, claim: point.claimName },
    manifestSha256: point.manifestSha256,
    canary: await lastCanary(database, job.id),
    maxFiles: MAX_FILES,
    maxBytes: MAX_BYTES,
    random: Math.random,
    clock: () => performance.now(),
    signal: active.signal,
    onProgress: ({ files, filesTotal, bytes, bytesTotal }) =>
      reporter.figures({
        phase: 'verifying',
        bytesTotal,
        bytesTransferred: bytes,
        bytesProcessed: bytes,
        objectsTotal: filesTotal,
        objectsTransferred: files,
        speedBytesPerSec: 0,
        etaSeconds: null,
        currentItem: null,
        percent: filesTotal > 0 ? Math.min(99, (100 * files) / filesTotal) : 0,
      }),
  });
  await drill.execute();
  await reachable(async () => await finish(scope, drill, point.uuid));
}

async function finish(scope: RunScope, drill: Drill, pointUuid: string): Promise<void> {
  const { services, active, reporter, notify } = scope;
  const { database } = services;
  const { tally, outcome } = drill;
  await reporter.flush();
  const holds = active.forgetHolds();
  const status = outcome === 'failed' ? 'failed' : outcome === 'size_only' ? 'warning' : 'success';
  await database.transaction(async (trx) => {
    const ended = await finishRun(database, trx, active.lease, {
      status,
      errorCode: outcome === 'failed' ? 'ERR_DRILL_FAILED' : null,
      stats: { ...figuresOf(drill), duration_ms: drill.durationMs, canary: drill.canary?.toWellFormed() ?? null },
      moved: { files: tally.files, bytes: tally.bytes, bytesListed: tally.bytes },
    });
    if (!ended) throw new BackupError('ERR_LEASE_LOST');
    await appendEvents(trx, database, active.run.id, endEventsOf(drill));
    await recordTally(scope, trx, tally);
    const { files, bytes, exact, size_only: sizeOnly, problems } = figuresOf(drill);
    await recordDrill(database, trx, {
      run: active.run,
      pointUuid,
      status: outcome,
      ...{ files, bytes, exact, sizeOnly, problems },
      durationMs: drill.durationMs,
      canary: drill.canary,
    });
    if (status !== 'warning') await notify(trx, status);
    await releaseHolds(trx, holds);
  });
}

function figuresOf({ tally }: Drill) {
  return {
    files: tally.files,
    bytes: tally.bytes,
    exact: tally.exact,
    size_only: tally.count('size_only'),
    problems: tally.problems,
  };
}

function endEventsOf(drill: Drill): RunEvent[] {
  const { tally, outcome, durationMs, canary } = drill;
  const read = event('DRILL_READ', {
    files: tally.files,
    bytes: tally.bytes,
    duration_ms: durationMs,
    ...(canary === null ? {} : { canary }),
  });
  if (outcome === 'failed') return [read, ...damageEvents(tally), event('DRILL_FAILED', { code: 'ERR_DRILL_FAILED' })];
  if (outcome === 'size_only') return [read, event('DRILL_SIZE_ONLY', { files: tally.count('size_only') })];
  return [read, event('DRILL_SUCCESS')];
}

/** A restore test that died of something else than the data (keys, network, a lost hold) has its dated record too. */
export async function recordFailedDrill(
  { services, active }: Pick<RunScope, 'services' | 'active'>,
  trx: Transaction,
): Promise<void> {
  await recordDrill(services.database, trx, {
    run: active.run,
    pointUuid: null,
    status: 'failed',
    ...{ files: 0, bytes: 0, exact: 0, sizeOnly: 0, problems: 0, durationMs: 0 },
    canary: null,
  });
}

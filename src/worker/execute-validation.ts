import { z } from 'zod';
import type { BackupEngine } from '../engines/port.ts';
import type { SpillSpace } from '../backup/spill.ts';
import { Validation } from '../backup/validate.ts';
import type { Database } from '../database/connect.ts';
import { appendEvents } from '../database/events.ts';
import { finishRun } from '../database/leases.ts';
import { newestKeptPoint, recordValidation, runBegunAt } from '../database/proofs.ts';
import { findKeptPoint } from '../database/restore-points.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { fileProblemReason } from '../events/file-problems.ts';
import type { BucketAccess } from '../storage/port.ts';
import { reachable } from './ledger.ts';
import { damageEvents, openListing, openPoint, recordTally, type KeptPoint } from './proof-parts.ts';
import type { RunScope } from './run-scope.ts';

/** What a validation run is queued with. */
const Options = z.looseObject({
  /** A point; absent: the newest one that is kept. */
  point: z.uuid().optional(),
  /** The backup run whose point is compared, when the validation belongs to it. */
  run: z.uuid().optional(),
  /** So many files at random instead of all. */
  sample: z.int().positive().optional(),
});
type Options = z.infer<typeof Options>;

const MEMORY_ITEMS = 50_000;

/**
 * One claim of a validation: stored objects and the source, against the manifest. Makes room for a backup, and can be cancelled, at any
 * moment; what was found until then is kept.
 */
export async function executeValidation(scope: RunScope): Promise<void> {
  const { services, active, reporter, folder, job } = scope;
  const { database } = services;
  const options = Options.parse(active.run.options);
  reporter.event(event('VALIDATION_START'));
  const newest = await newestKeptPoint(database.knex, job.id);
  const point = await findPoint(database, job.clientId, options, newest);
  const { points, access } = await openPoint(scope, point);
  // Only of the newest point can it be said what the source has to hold.
  const source = point.uuid === newest ? await trySource(scope, access) : null;
  if (options.sample !== undefined) reporter.event(event('VALIDATION_SAMPLE', { files: options.sample }));
  const space: SpillSpace = { folder, memoryItems: MEMORY_ITEMS };
  const validation = new Validation({
    points,
    place: { run: point.runUuid, claim: point.claimName },
    manifestSha256: point.manifestSha256,
    sample: options.sample === undefined ? null : { files: options.sample, random: Math.random },
    source: source?.engine ?? null,
    begunAt: (await runBegunAt(database, point.runUuid)) ?? 0,
    space,
    signal: active.signal,
    onProgress: ({ files, filesTotal, bytes }) =>
      reporter.figures({
        phase: 'verifying',
        bytesTotal: 0,
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
  if (source !== null && source.error !== null) validation.source.error = source.error;
  const stopped = await untilStopped(validation);
  await reachable(async () => await finish(scope, validation, { options, stopped, withSource: source !== null }));
}

async function findPoint(
  database: Database,
  clientId: number,
  { point, run }: Options,
  newest: string | null,
): Promise<KeptPoint> {
  const reference = run !== undefined ? { run } : point !== undefined ? { point } : newest && { point: newest };
  const found = reference ? await findKeptPoint(database, clientId, reference) : null;
  if (found === null) throw new BackupError('POINT_NOT_FOUND');
  return found;
}

/** That the source does not answer says nothing of what is stored, which is compared all the same. */
async function trySource(
  scope: RunScope,
  access: BucketAccess,
): Promise<{ readonly engine: BackupEngine | null; readonly error: ErrorCode | null }> {
  try {
    return { engine: await openListing(scope, access), error: null };
  } catch (error) {
    if (scope.active.signal.aborted) throw scope.active.signal.reason;
    if (!isBackupError(error)) throw error;
    return { engine: null, error: error.code };
  }
}

type Stopped = 'ERR_YIELDED' | 'ERR_CANCELLED' | null;

async function untilStopped(validation: Validation): Promise<Stopped> {
  try {
    await validation.execute();
    return null;
  } catch (error) {
    if (isBackupError(error, 'ERR_YIELDED')) return 'ERR_YIELDED';
    if (isBackupError(error, 'ERR_CANCELLED')) return 'ERR_CANCELLED';
    throw error;
  }
}

interface End {
  readonly options: Options;
  readonly stopped: Stopped;
  readonly withSource: boolean;
}

async function finish(scope: RunScope, validation: Validation, end: End): Promise<void> {
  const { services, active, reporter, notify } = scope;
  const { database } = services;
  const { tally, source, outcome } = validation;
  await reporter.flush();
  const failed = outcome === 'failed';
  const doubtful = outcome === 'size_only' || source.error !== null;
  const status = end.stopped !== null ? 'cancelled' : failed ? 'failed' : doubtful ? 'warning' : 'success';
  const errorCode = end.stopped ?? (failed ? 'ERR_VALIDATION_DIFFERS' : null);
  await database.transaction(async (trx) => {
    const ended = await finishRun(database, trx, active.lease, {
      status,
      errorCode,
      stats: { ...figuresOf(validation), ...(end.withSource ? { source } : {}), sample: end.options.sample ?? null },
      moved: { files: tally.files, bytes: tally.bytes, bytesListed: tally.bytes },
    });
    if (!ended) throw new BackupError('ERR_LEASE_LOST');
    await appendEvents(trx, database, active.run.id, endEventsOf(validation, end));
    await recordTally(scope, trx, tally);
    await recordValidation(database, trx, {
      run: active.run,
      parentRunUuid: end.options.run ?? null,
      status: end.stopped !== null && !failed ? null : outcome,
      complete: end.stopped === null,
      excerpt: excerptOf(validation, end),
    });
    // Nobody is woken by a source that never tells checksums.
    if (status === 'failed' || status === 'success') await notify(trx, status);
  });
}

function figuresOf({ tally }: Validation) {
  return {
    files: tally.files,
    bytes: tally.bytes,
    exact: tally.exact,
    size_only: tally.count('size_only'),
    missing: tally.count('missing'),
    differs: tally.count('differs'),
  };
}

function endEventsOf(validation: Validation, { stopped, withSource }: End): RunEvent[] {
  const { tally, source, outcome } = validation;
  const events = [event('VALIDATION_COMPARED', figuresOf(validation))];
  if (withSource && source.error !== null) events.push(event('VALIDATION_SOURCE_SKIPPED', { code: source.error }));
  else if (withSource && stopped === null)
    events.push(
      event('VALIDATION_SOURCE_COMPARED', {
        by_checksum: source.byChecksum,
        by_size: source.bySize,
        changed_since: tally.count('changed_since'),
        unread: source.unread,
      }),
    );
  const unverified = tally.count('size_only');
  if (unverified > 0) events.push(event('VALIDATION_UNVERIFIED', { files: unverified }));
  events.push(...damageEvents(tally));
  if (stopped !== null) return [...events, event(stopped === 'ERR_YIELDED' ? 'YIELDED' : 'VALIDATION_CANCELLED')];
  if (outcome === 'failed') return [...events, event('VALIDATION_FAILED', { code: 'ERR_VALIDATION_DIFFERS' })];
  return [...events, event(outcome === 'size_only' ? 'VALIDATION_SIZE_ONLY' : 'VALIDATION_SUCCESS')];
}

/** A few lines for the run's row: figures, then the first files by name. */
function excerptOf(validation: Validation, { stopped, withSource }: End): string {
  const { tally, source } = validation;
  const figures = figuresOf(validation);
  const lines = [
    `Compared ${figures.files} files (${figures.bytes} bytes): ${figures.exact} right by checksum, ${figures.size_only} by size only, ${figures.missing} missing, ${figures.differs} differ.`,
    ...(withSource && source.error === null
      ? [
          `Source: ${source.byChecksum} the same by checksum, ${source.bySize} by size and date, ${tally.count('changed_since')} changed since the backup.`,
        ]
      : []),
    ...(withSource && source.error !== null ? [`The source could not be compared: ${source.error}.`] : []),
    ...(stopped === null ? [] : ['It was stopped before its end.']),
    ...tally.told
      .filter(({ kind }) => kind === 'missing' || kind === 'differs')
      .slice(0, 20)
      .map(({ path, code }) => `${path}: ${fileProblemReason(code)}`),
  ];
  return lines.join('\n').toWellFormed();
}

import type { RunPhase, RunProgress } from '../backup/ledger.ts';
import { isUnreachable, type Database } from '../database/connect.ts';
import { appendEvents } from '../database/events.ts';
import { saveProgress, type RunProgress as ProgressRow } from '../database/leases.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { describeError, type Logger } from '../log.ts';
import type { ActiveRun } from './active-run.ts';

export interface ReporterOptions {
  readonly database: Database;
  readonly active: ActiveRun;
  readonly log: Logger;
  /** How often figures and events go to the database, in milliseconds. */
  readonly intervalMs?: number;
  /** A PROGRESS_UPDATE event at most this often (setting `cloudbackup_event_progress_interval_seconds`). */
  readonly progressEventMs?: number;
  readonly maxEvents?: number;
  readonly clock?: () => number;
}

/**
 * Brings live figures and events of one run to the database, about once a second and in order. Events wait here while the database
 * cannot be reached; figures are replaced by the next ones.
 */
export class RunReporter {
  readonly #options: ReporterOptions;
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #pending: RunEvent[] = [];
  #figures: ProgressRow | null = null;
  #written: ProgressRow | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #lastProgressEvent = -Infinity;
  #lastPercent = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#timer = setInterval(() => void this.#quietFlush(), options.intervalMs ?? 1_000);
    this.#timer.unref();
  }

  event(given: RunEvent): void {
    this.#pending.push(given);
  }

  progress(progress: RunProgress): void {
    const row = toRow(progress);
    if (progress.transfer !== null) this.#progressEvent(row);
    this.figures(row);
  }

  /** Live figures as the page shows them. The first of a phase go out at once: who watches sees each phase begin. */
  figures(row: ProgressRow): void {
    const phaseBegan = row.phase !== this.#figures?.phase;
    this.#figures = row;
    if (phaseBegan) void this.#quietFlush();
  }

  #progressEvent(row: ProgressRow): void {
    if (row.bytesTransferred === 0) return;
    const due = this.#clock() - this.#lastProgressEvent >= (this.#options.progressEventMs ?? 30_000);
    if (!due || row.percent - this.#lastPercent < 1) return;
    this.#lastProgressEvent = this.#clock();
    this.#lastPercent = row.percent;
    this.event(
      event('PROGRESS_UPDATE', {
        files_done: row.objectsTransferred,
        files_total: row.objectsTotal,
        pct: row.percent,
        bytes_done: row.bytesTransferred,
        bytes_total: row.bytesTotal,
        speed_bps: row.speedBytesPerSec,
        eta_seconds: row.etaSeconds,
      }),
    );
  }

  /** Writes what is pending. Throws when the database does not take it; nothing is lost then. */
  async flush(): Promise<void> {
    const work = this.#flushing.catch(() => {}).then(async () => await this.#write());
    this.#flushing = work;
    await work;
  }

  /** Ends the timer; what is pending can still be flushed. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async #quietFlush(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      if (!isUnreachable(error))
        this.#options.log.warn('figures of a run were not written', {
          run: this.#options.active.run.uuid,
          error: describeError(error),
        });
    }
  }

  async #write(): Promise<void> {
    const { database, active } = this.#options;
    const figures = this.#figures;
    if (figures !== this.#written && figures !== null) {
      await saveProgress(database, active.lease, figures);
      this.#written = figures;
    }
    const events = this.#pending;
    if (events.length === 0) return;
    await database.transaction(async (trx) => {
      // Events of a claim that was taken over would come between those of its successor.
      const owned: unknown = await trx('s3_cloudbackup_runs')
        .where({ id: active.run.id, lease_token: active.lease.token })
        .select('id')
        .first();
      if (owned !== undefined) {
        await appendEvents(
          trx,
          database,
          active.run.id,
          events,
          this.#options.maxEvents === undefined ? {} : { max: this.#options.maxEvents },
        );
      }
    });
    this.#pending = this.#pending.slice(events.length);
  }
}

const PHASE_SHARE: Record<RunPhase, [from: number, to: number]> = {
  checking: [0, 1],
  listing: [1, 3],
  comparing: [3, 5],
  copying: [5, 95],
  verifying: [95, 98],
  committing: [98, 99],
};

function toRow(progress: RunProgress): ProgressRow {
  const [from, to] = PHASE_SHARE[progress.phase];
  const transfer = progress.transfer;
  const done =
    transfer === null
      ? 0
      : transfer.bytesTotal > 0
        ? transfer.bytes / transfer.bytesTotal
        : transfer.filesTotal > 0
          ? transfer.files / transfer.filesTotal
          : 0;
  return {
    phase: progress.phase,
    bytesTotal: transfer?.bytesTotal ?? 0,
    bytesTransferred: transfer?.bytes ?? 0,
    bytesProcessed: transfer?.bytes ?? 0,
    objectsTotal: transfer?.filesTotal ?? progress.filesListed,
    objectsTransferred: transfer?.files ?? 0,
    speedBytesPerSec: transfer?.speed ?? 0,
    etaSeconds: transfer?.etaSeconds ?? null,
    currentItem: transfer?.transferring[0] ?? null,
    percent: from + (to - from) * Math.min(1, Math.max(0, done)),
    more: {
      files_listed: progress.filesListed,
      transferring: transfer?.transferring.slice(0, 8) ?? [],
      errors: transfer?.errors ?? 0,
    },
  };
}

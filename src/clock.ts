import type { Job } from 'node-schedule';
import type { Database } from './database/connect.ts';
import { pruneAgentEvents, pruneEvents, pruneLogs, pruneNotices, pruneRunFiles } from './database/prune.ts';
import { fromDatabaseTime } from './database/times.ts';
import type { HostPort } from './host/port.ts';
import { describeError, type Logger } from './log.ts';
import { sendNotices, type NotifyReport } from './notify/send.ts';
import { watchOverdue, type OverdueReport } from './runs/overdue.ts';
import { runMaintenanceOnce, type MaintenanceReport } from './runs/maintenance.ts';
import { runProofsOnce, type ProofsReport } from './runs/proofs.ts';
import { runSchedulerOnce, type SchedulerReport } from './runs/scheduler.ts';

/** What the clockwork needs, in a cron of its own or inside another process. */
export interface ClockParts {
  readonly database: Database;
  readonly host: Pick<
    HostPort,
    'settings' | 'client' | 'timezone' | 'serviceState' | 'terminatedGraceDays' | 'sendEmail'
  >;
  /** Zone for clients of whom neither they nor the host say one. Default UTC. */
  readonly defaultTimezone?: string;
  readonly log?: Logger;
}

/** Queues the runs that are due. */
export async function scheduleDue(parts: ClockParts, signal?: AbortSignal): Promise<SchedulerReport> {
  return await runSchedulerOnce({ ...shared(parts, signal), records: parts.host });
}

/** Queues maintenance where it is due: retention, sweeping, the data of deleted jobs; brings changed retentions into force. */
export async function retainDue(parts: ClockParts, signal?: AbortSignal): Promise<MaintenanceReport> {
  return await runMaintenanceOnce({ ...shared(parts, signal), records: parts.host });
}

/** Finds backups that did not come, and sends all mails that wait. */
export async function notifyDue(parts: ClockParts, signal?: AbortSignal): Promise<OverdueReport & NotifyReport> {
  const overdue = await watchOverdue({ ...shared(parts, signal), records: parts.host });
  const notices = await sendNotices({ ...shared(parts, signal), host: parts.host });
  return { ...overdue, ...notices };
}

/** Queues the validations and restore tests that are due. */
export async function proveDue(parts: ClockParts, signal?: AbortSignal): Promise<ProofsReport> {
  const { database, log } = shared(parts, signal);
  return await runProofsOnce({
    database,
    records: parts.host,
    ...(log === undefined ? {} : { log }),
    ...(signal === undefined ? {} : { signal }),
  });
}

export interface PruneReport {
  readonly events: number;
  readonly logs: number;
  readonly agentEvents: number;
  readonly notices: number;
  /** Rows of reports of runs' files. */
  readonly runFiles: number;
}

const DAY_MS = 86_400_000;

/**
 * Deletes what is older than the module's settings allow: `cloudbackup_event_retention_days` (60; mails that are settled too),
 * `cloudbackup_run_logs_retention_days` (60; reports of files too), `cloudbackup_agent_events_retention_days` (90).
 */
export async function pruneOld(parts: ClockParts, signal?: AbortSignal): Promise<PruneReport> {
  const { database } = parts;
  const settings = await parts.host.settings();
  const now = fromDatabaseTime(await database.readClock());
  const options = (name: string, days: number): { before: number; signal?: AbortSignal } => {
    const set = Number(settings.get(name));
    const kept = Number.isFinite(set) && set >= 1 ? set : days;
    return { before: now - kept * DAY_MS, ...(signal === undefined ? {} : { signal }) };
  };
  const ofEvents = options('cloudbackup_event_retention_days', 60);
  return {
    events: await pruneEvents(database, ofEvents),
    logs: await pruneLogs(database, options('cloudbackup_run_logs_retention_days', 60)),
    agentEvents: await pruneAgentEvents(database, options('cloudbackup_agent_events_retention_days', 90)),
    notices: await pruneNotices(database, ofEvents),
    runFiles: await pruneRunFiles(database, options('cloudbackup_run_logs_retention_days', 60)),
  };
}

function shared(parts: ClockParts, signal: AbortSignal | undefined) {
  const { database, log, defaultTimezone } = parts;
  return {
    database,
    ...(log === undefined ? {} : { log }),
    ...(defaultTimezone === undefined ? {} : { defaultTimezone }),
    ...(signal === undefined ? {} : { signal }),
  };
}

export interface ClockOptions {
  /** Seconds between two looks at the schedules; default 30. */
  readonly scheduleSeconds?: number;
  /** Seconds between two looks at mails and overdue jobs; default 30. */
  readonly notifySeconds?: number;
  /** Seconds between two looks at validations and restore tests; default 60. */
  readonly proofSeconds?: number;
  /** Seconds between two looks at what retention has to do; default 60. */
  readonly retentionSeconds?: number;
}

export interface RunningClock {
  /** Ends the clockwork; resolves when nothing of it is under way any more. */
  stop(): Promise<void>;
}

/**
 * All crons inside of this process, for the demo and for small hosts. It may run in several processes at once, and beside the
 * crontab: each slot and each mail is taken by one of them.
 */
export function startClock(parts: ClockParts, options: ClockOptions = {}): RunningClock {
  const stopping = new AbortController();
  const everySeconds = (seconds: number): string =>
    seconds >= 60 ? `0 */${Math.round(seconds / 60)} * * * *` : `*/${seconds} * * * * *`;
  const tasks = [
    new Task('scheduler', everySeconds(options.scheduleSeconds ?? 30), parts.log, async () => {
      await scheduleDue(parts, stopping.signal);
    }),
    new Task('notify', everySeconds(options.notifySeconds ?? 30), parts.log, async () => {
      await notifyDue(parts, stopping.signal);
    }),
    new Task('retention', everySeconds(options.retentionSeconds ?? 60), parts.log, async () => {
      await retainDue(parts, stopping.signal);
    }),
    new Task('proofs', everySeconds(options.proofSeconds ?? 60), parts.log, async () => {
      await proveDue(parts, stopping.signal);
    }),
    new Task('prune', '0 17 3 * * *', parts.log, async () => {
      await pruneOld(parts, stopping.signal);
    }),
  ];
  // What became due while nothing ran is not left waiting for the first tick.
  for (const task of tasks.slice(0, -1)) task.run();
  return {
    async stop() {
      stopping.abort();
      await Promise.all(tasks.map(async (task) => await task.stop()));
    },
  };
}

/** One thing that is done again and again, never twice at a time. */
class Task {
  readonly #name: string;
  readonly #work: () => Promise<void>;
  readonly #log: Logger | undefined;
  readonly #job: Promise<Job>;
  #running: Promise<void> | null = null;

  constructor(name: string, rule: string, log: Logger | undefined, work: () => Promise<void>) {
    this.#name = name;
    this.#work = work;
    this.#log = log;
    // Loaded with the first clock: a portal beside a crontab has none, and is some megabytes smaller.
    this.#job = import('node-schedule').then(({ scheduleJob }) => scheduleJob(rule, () => this.run()));
    this.#job.catch((error: unknown) => log?.error('the clockwork cannot be loaded', { error: describeError(error) }));
  }

  run(): void {
    this.#running ??= this.#once().finally(() => (this.#running = null));
  }

  async #once(): Promise<void> {
    try {
      await this.#work();
    } catch (error) {
      // The next tick tries again; the clockwork itself goes on.
      this.#log?.error('a part of the clockwork failed', { part: this.#name, error: describeError(error) });
    }
  }

  async stop(): Promise<void> {
    (await this.#job).cancel();
    await this.#running;
  }
}

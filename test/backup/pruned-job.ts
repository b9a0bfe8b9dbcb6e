import { afterEach, beforeEach } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune, type PruneContext } from '../../src/backup/prune.ts';
import type { PruneReport } from '../../src/backup/prune-ledger.ts';
import { parseKey } from '../../src/layout/keys.ts';
import type { FaultPlan } from '../../src/storage/memory.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { KEYS, OWNER, TestJob, type RunRecord } from './job.ts';

/** When prunes take place. */
export const NOW = 1_700_000_000_000;

/** A job that can be pruned, and whose bucket can be looked into. */
export class PrunedJob extends TestJob {
  folder = '';
  requests: string[] = [];

  async prune(
    more: Partial<PruneContext> & { faults?: FaultPlan; during?: (request: number) => void } = {},
  ): Promise<PruneReport & { events: string[] }> {
    const { faults, during, ...context } = more;
    const owned = this.database.beginPrune();
    const ledger = new ModelPruneLedger(this.database, owned, () => NOW);
    this.requests = [];
    const store = this.bucket.connect((operation, key) => {
      this.requests.push(`${operation} ${key.slice(this.prefix.length)}`);
      during?.(this.requests.length);
      return faults?.(operation, key);
    });
    try {
      const report = await prune({
        job: { uuid: this.uuid, prefix: this.prefix },
        wholeData: false,
        owner: OWNER,
        store,
        ledger,
        keys: KEYS,
        workFolder: this.folder,
        memoryItems: 5,
        databaseRetryMs: 1,
        heartbeatWaitMs: 0,
        ...context,
      });
      return { ...report, events: ledger.events.map(({ code }) => code) };
    } finally {
      owned.over = true;
    }
  }

  keep(count: number): void {
    this.database.tables.policy = { mode: 'keep_last_n', count };
  }

  state(run: RunRecord): string | undefined {
    return this.database.tables.points.find((point) => point.run === run.run.uuid)?.state;
  }

  write(key: string, body: Buffer | string): void {
    this.bucket.write(this.prefix + key, Buffer.from(body));
  }

  has(key: string): boolean {
    return this.bucket.read(this.prefix + key) !== null;
  }

  everything(): string {
    return this.bucket
      .keys()
      .map((key) => `${key} ${this.bucket.read(key)?.md5}`)
      .join('\n');
  }
}

/** Before each test of a file: a job of four runs, each with a file of its own. */
export class FourRuns {
  #job: PrunedJob | null = null;
  #runs: RunRecord[] = [];

  constructor() {
    beforeEach(async () => {
      const job = new PrunedJob();
      job.folder = await mkdtemp(join(tmpdir(), 'e3-prune-test-'));
      this.#job = job;
      this.#runs = [];
      for (const name of ['one', 'two', 'three', 'four']) {
        job.source.write('always', 'the same');
        job.source.write(`only-${name}`, name);
        if (this.#runs.length === 0) job.source.write('stays', 'forever');
        this.#runs.push(await job.run());
        job.source.set(`only-${name}`, null);
      }
    });
    afterEach(async () => await rm(this.job.folder, { recursive: true, force: true }));
  }

  get job(): PrunedJob {
    if (this.#job === null) throw new Error('there is a job in tests only');
    return this.#job;
  }

  get runs(): readonly RunRecord[] {
    return this.#runs;
  }

  first(): RunRecord {
    return this.#runs[0] as RunRecord;
  }

  last(): RunRecord {
    return this.#runs[3] as RunRecord;
  }
}

/** Where a run's objects lie. */
export function places(record: RunRecord): { run: string; claim: string } {
  return { run: record.point.run, claim: record.point.claim };
}

/** True for the whole key of a manifest, its prefix included. */
export function isManifestKey(key: string): boolean {
  return parseKey(key.slice(key.indexOf('manifests/')))?.kind === 'manifest';
}

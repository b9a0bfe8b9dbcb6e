import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArchiveSettings } from '../../src/archive/settings.ts';
import type { BackupContext, BackupResult } from '../../src/backup/context.ts';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import type { JobEncryption } from '../../src/crypt/job-encryption.ts';
import type { BackupEvent, CommitRequest } from '../../src/backup/ledger.ts';
import { openManifest, readEntries, type PointSource } from '../../src/backup/point-reader.ts';
import { runBackup } from '../../src/backup/run.ts';
import { DEFAULT_BRAKES, type BrakeSettings } from '../../src/layout/brakes.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import type { Entry, Manifest } from '../../src/layout/types.ts';
import type { BackupEngine } from '../../src/engines/port.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { ModelDatabase, ModelLedger, type ModelRun } from '../model/database.ts';
import { Random } from '../model/random.ts';
import { ModelEngine, ModelSource } from '../model/source.ts';

export const KEYS = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the tests' }]);
export const OWNER = { installation: 'tests', database: 'test-database', acceptedDatabases: [] };

/** A ledger that also remembers what it was told. */
class ListeningLedger extends ModelLedger {
  readonly events: BackupEvent[] = [];
  committed: CommitRequest | null = null;

  override event(event?: BackupEvent): void {
    if (event) this.events.push(event);
  }

  override async commit(request: CommitRequest): Promise<'committed' | 'lost'> {
    this.committed = request;
    this.events.push(...request.events);
    return await super.commit(request);
  }
}

export interface RunOptions {
  readonly run?: ModelRun;
  readonly allowEmptySource?: boolean;
  readonly brakes?: BrakeSettings;
  readonly store?: ObjectStore;
  readonly engine?: BackupEngine;
  readonly owner?: BackupContext['owner'];
}

export interface RunRecord extends BackupResult {
  readonly run: ModelRun;
  readonly events: readonly BackupEvent[];
  readonly request: CommitRequest;
}

/** One job with a source and a bucket in memory; its runs are done at once. */
export class TestJob {
  readonly source: ModelSource;
  readonly bucket = new MemoryBucket({ pageSize: 50 });
  readonly database: ModelDatabase;
  readonly uuid: string;
  readonly prefix: string;
  readonly mode: 'sync' | 'archive';
  readonly archive: Partial<ArchiveSettings>;
  encryption: JobEncryption | null;

  constructor(
    options: {
      hashes?: boolean;
      prefix?: string;
      mode?: 'sync' | 'archive';
      archive?: Partial<ArchiveSettings>;
      encryption?: JobEncryption;
    } = {},
  ) {
    const random = new Random(7);
    this.source = new ModelSource(random, options.hashes ?? true);
    this.database = new ModelDatabase(random);
    this.uuid = random.uuid();
    this.prefix = options.prefix ?? 'jobs/one/';
    this.mode = options.mode ?? 'sync';
    this.archive = options.archive ?? {};
    this.encryption = options.encryption ?? null;
  }

  async run(options: RunOptions = {}): Promise<RunRecord> {
    const folder = await mkdtemp(join(tmpdir(), 'e3-backup-test-'));
    const run = options.run ?? this.database.queue();
    const { claim, generation, token } = this.database.claim(run);
    const store = options.store ?? this.bucket.connect();
    const ledger = new ListeningLedger(this.database, run, token);
    try {
      const result = await runBackup({
        job: {
          uuid: this.uuid,
          prefix: this.prefix,
          mode: this.mode,
          sourceType: 'sftp',
          frozen: this.database.tables.frozen,
          brakes: options.brakes ?? DEFAULT_BRAKES,
        },
        run: { uuid: run.uuid, claim, generation, allowEmptySource: options.allowEmptySource ?? false },
        owner: options.owner ?? OWNER,
        store,
        engine: options.engine ?? new ModelEngine(this.source, store, this.encryption?.cipher),
        ledger,
        keys: KEYS,
        encryption: this.encryption,
        archive: this.archive,
        workFolder: folder,
        clock: () => 1_700_000_000_000,
        databaseRetryMs: 1,
      });
      return { ...result, run, events: ledger.events, request: ledger.committed as CommitRequest };
    } catch (error) {
      if (!this.database.isTerminal(run)) run.status = 'failed';
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Keys below the prefix, relative to it. */
  keys(start = ''): string[] {
    return this.bucket.keys(this.prefix + start).map((key) => key.slice(this.prefix.length));
  }

  read(key: string): string {
    return this.bucket.read(this.prefix + key)?.body.toString() ?? '';
  }

  get points(): PointSource {
    const signal = new AbortController().signal;
    return {
      bucket: new JobBucket(this.bucket.connect(), this.prefix, signal, this.encryption?.cipher),
      job: this.uuid,
      keys: KEYS,
    };
  }

  async manifest(place: { run: string; claim: string }): Promise<Manifest> {
    return (await openManifest(this.points, place)).manifest;
  }

  async entries(place: { run: string; claim: string }): Promise<Map<string, Entry>> {
    const entries = new Map<string, Entry>();
    for await (const entry of readEntries(this.points, await this.manifest(place))) entries.set(entry.path, entry);
    return entries;
  }
}

import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { endsChunk } from '../../src/layout/chunks.ts';
import type { JobCipher } from '../../src/crypt/job-cipher.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import type {
  BackupEngine,
  EngineEvent,
  EngineProcess,
  SourceFile,
  SourceListing,
  SourceReader,
  TransferOutcome,
} from '../../src/engines/port.ts';
import { PLAIN_NAMES } from '../../src/layout/keys.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import type { Random } from './random.ts';

export interface Version {
  readonly body: Buffer;
  readonly mtime: string;
}

const FOLDERS = ['', 'a/', 'a/b/', 'ä/', 'deep/er/est/'];
const NAMES = ['x', 'y', 'z', 'é', 'e\u0301', '-lead', 'back\\slash', 'a␊b', '日本', '😀', 'with space', '‛‛q', '．x'];
/** Paths after which a chunk ends, so that even small trees have several. */
const CUTS = Array.from({ length: 60_000 }, (_, i) => `cut/${i}`).filter(endsChunk);

/** A tree of files that changes, and remembers what it held when: `now` counts the changes. */
export class ModelSource {
  readonly #random: Random;
  readonly #files = new Map<string, Version>();
  readonly #history = new Map<string, { readonly at: number; readonly version: Version | null }[]>();
  readonly hashes: boolean;
  now = 0;
  /** Folders that cannot be listed, files that cannot be copied: until `heal`. */
  readonly unreadable = new Set<string>();
  readonly broken = new Set<string>();
  /** The way to the bucket cuts the end off some files and says nothing. */
  truncates = false;
  /** Called before each thing that the engine does at the source. */
  onAccess: (() => void) | null = null;

  constructor(random: Random, hashes: boolean) {
    this.#random = random;
    this.hashes = hashes;
  }

  get paths(): string[] {
    return [...this.#files.keys()];
  }

  read(path: string): Version | undefined {
    return this.#files.get(path);
  }

  /** What the path held at any time from `since` until now; null stands for its absence. */
  heldSince(path: string, since: number): (Version | null)[] {
    const all = this.#history.get(path) ?? [];
    const before = all.filter(({ at }) => at <= since).at(-1)?.version ?? null;
    const after = all.filter(({ at }) => at > since).map(({ version }) => version);
    return [before, ...after];
  }

  everPaths(): string[] {
    return [...this.#history.keys()];
  }

  everHeld(path: string): Version[] {
    return (this.#history.get(path) ?? []).flatMap(({ version }) => version ?? []);
  }

  /** Some random changes. */
  change(steps: number): void {
    for (let i = 0; i < steps; i += 1) this.#changeOnce();
  }

  /** Changes many files without changing their size. */
  rewrite(): void {
    for (const [path, { body }] of [...this.#files]) {
      if (this.#random.chance(0.3)) this.set(path, { body: this.#random.bytes(body.length), mtime: this.#mtime() });
    }
  }

  heal(): void {
    this.unreadable.clear();
    this.broken.clear();
    this.truncates = false;
  }

  fail(): void {
    const path = this.#random.pick(this.paths);
    if (this.#random.chance(0.3)) this.truncates = true;
    else if (this.#random.chance(0.5) && path.includes('/')) this.unreadable.add(path.slice(0, path.lastIndexOf('/')));
    else this.broken.add(path);
  }

  #changeOnce(): void {
    const random = this.#random;
    const kind = this.#files.size < 3 ? 0 : random.below(7);
    const path = kind === 0 ? '' : random.pick(this.paths);
    const version = this.#files.get(path);
    if (kind <= 1 || version === undefined) this.set(this.#newPath(), { body: this.#body(), mtime: this.#mtime() });
    else if (kind === 2) this.set(path, { body: this.#body(), mtime: this.#mtime() });
    else if (kind === 3) this.set(path, null);
    else if (kind === 4) this.set(path, { body: version.body, mtime: this.#mtime() });
    else if (kind === 5) this.set(this.#newPath(), version);
    else {
      const to = this.#newPath();
      this.set(path, null);
      this.set(to, version);
    }
  }

  /** Null removes the file. */
  set(path: string, version: Version | null): void {
    this.now += 1;
    if (version === null) this.#files.delete(path);
    else this.#files.set(path, version);
    this.#history.set(path, [...(this.#history.get(path) ?? []), { at: this.now, version }]);
  }

  #newPath(): string {
    if (this.#random.chance(0.2)) return this.#random.pick(CUTS);
    return `${this.#random.pick(FOLDERS)}${this.#random.pick(NAMES)}${this.#random.below(9)}`;
  }

  /** Few sizes, so that a change often keeps the size. */
  #body(): Buffer {
    return this.#random.bytes(this.#random.pick([0, 5, 5, 30]));
  }

  /** Never the same twice, so that a change shows in sources without hashes. */
  #mtime(): string {
    return new Date(1_700_000_000_000 + this.now * 1_000 + this.#random.below(1_000)).toISOString();
  }

  /** A file with this text, dated by the number of changes so far. */
  write(path: string, text: string): void {
    this.set(path, { body: Buffer.from(text), mtime: this.#mtime() });
  }

  listed(path: string, { body, mtime }: Version): SourceFile {
    const hash = this.hashes ? `md5:${createHash('md5').update(body).digest('hex')}` : null;
    return { path, size: body.length, mtime, hash };
  }

  isUnreadable(path: string): boolean {
    return [...this.unreadable].some((folder) => path.startsWith(`${folder}/`));
  }
}

/** The engine of one process: reads the model's source, writes through that process's connection to the bucket. */
export class ModelEngine implements BackupEngine {
  readonly version = 'model';
  readonly #source: ModelSource;
  readonly #store: ObjectStore;
  readonly #cipher: JobCipher | null;

  constructor(source: ModelSource, store: ObjectStore, cipher: JobCipher | null = null) {
    this.#source = source;
    this.#store = store;
    this.#cipher = cipher;
  }

  list({ signal }: { signal: AbortSignal }): SourceListing {
    const source = this.#source;
    const unreadable = [...source.unreadable];
    async function* files(): AsyncGenerator<SourceFile> {
      for (const path of source.paths.reverse()) {
        source.onAccess?.();
        signal.throwIfAborted();
        const version = source.read(path);
        if (version !== undefined && !source.isUnreadable(path)) yield source.listed(path, version);
      }
    }
    return { files: files(), outcome: Promise.resolve({ complete: unreadable.length === 0, unreadable, skipped: [] }) };
  }

  async look(paths: readonly string[], { signal }: { signal: AbortSignal }): Promise<Map<string, SourceFile>> {
    const seen = new Map<string, SourceFile>();
    for (const path of paths) {
      this.#source.onAccess?.();
      await turn();
      signal.throwIfAborted();
      const version = this.#source.read(path);
      if (version !== undefined && !this.#source.isUnreadable(path)) seen.set(path, this.#source.listed(path, version));
    }
    return seen;
  }

  read({ signal }: { signal: AbortSignal }): SourceReader {
    return {
      filesAtOnce: 3,
      open: async ({ path }, first) => {
        this.#source.onAccess?.();
        await turn();
        signal.throwIfAborted();
        const version = this.#source.read(path);
        if (version === undefined || this.#source.broken.has(path) || this.#source.isUnreadable(path))
          throw new BackupError('ERR_PERMISSION');
        const body = this.#source.truncates ? version.body.subarray(0, -1) : version.body;
        return inPieces(body.subarray(first));
      },
      close: async () => undefined,
    };
  }

  copy(request: { paths: readonly string[] | 'all'; targetKey: string; signal: AbortSignal }): EngineProcess {
    const failed: TransferOutcome['failed'] & Map<string, { code: 'ERR_PERMISSION'; message: string }> = new Map();
    const paths = request.paths === 'all' ? this.#source.paths : [...request.paths];
    const work = async (): Promise<void> => {
      for (let path = paths.pop(); path !== undefined && !request.signal.aborted; path = paths.pop()) {
        this.#source.onAccess?.();
        const version = this.#source.read(path);
        if (version === undefined || this.#source.broken.has(path) || this.#source.isUnreadable(path)) {
          failed.set(path, { code: 'ERR_PERMISSION', message: 'refused' });
        } else {
          const body = this.#source.truncates ? version.body.subarray(0, -1) : version.body;
          const name = (this.#cipher ?? PLAIN_NAMES).keyOfPath(path);
          const object = this.#cipher?.seal(body) ?? body;
          await this.#store.put(`${request.targetKey}/${name}`, object, { signal: request.signal });
        }
      }
    };
    const done = Promise.all([work(), work(), work()]).then(
      (): TransferOutcome => ({ failed, fatal: null, exitCode: 0, stopped: request.signal.aborted }),
      (error: unknown): TransferOutcome => {
        if (!(error instanceof BackupError)) throw error;
        return { failed, fatal: { code: error.code, message: error.message }, exitCode: 1, stopped: false };
      },
    );
    done.catch(() => undefined);
    return { events: noEvents(), setBandwidth: async () => undefined, stop: async () => undefined, done };
  }
}

async function* inPieces(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += 1 << 16) yield body.subarray(at, at + (1 << 16));
}

async function* noEvents(): AsyncGenerator<EngineEvent> {}

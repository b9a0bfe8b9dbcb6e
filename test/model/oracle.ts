import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type { JobCipher } from '../../src/crypt/job-cipher.ts';
import type { Entry, Manifest } from '../../src/layout/types.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import type { ModelPoint } from './database.ts';
import type { ModelSource } from './source.ts';
import { readMember } from './stranger.ts';

export class ModelViolation extends Error {
  override readonly name = 'ModelViolation';
}

interface SeenFile {
  readonly line: string;
  readonly body: string | null;
}

/** When a claim began to look at the source, and whether the source stood still and whole while it did. */
export interface ClaimWindow {
  readonly since: number;
  calm: boolean;
  /** Folders that the claim could not list: what is new in there is unknown to it. */
  unreadable: readonly string[];
}

/**
 * Reads points as a stranger would, with nothing of the package but the names of the format, and remembers every byte: what a point
 * held once, it must hold for ever.
 */
export class Oracle {
  readonly #source: ModelSource;
  readonly #prefix: string;
  readonly #cipher: JobCipher | null;
  readonly #seen = new Map<string, Map<string, SeenFile>>();
  readonly windows = new Map<string, ClaimWindow>();

  constructor(source: ModelSource, prefix: string, cipher: JobCipher | null = null) {
    this.#source = source;
    this.#cipher = cipher;
    this.#prefix = prefix;
  }

  /** Holds every point to what it held before, or, if it was not seen before, to what the source held in its claim's time. */
  async check(points: readonly ModelPoint[], store: ObjectStore): Promise<void> {
    for (const point of points) {
      const files = await this.#read(point, store);
      const before = this.#seen.get(point.manifestKey);
      if (before === undefined) this.#judge(point, files);
      else this.#requireSame(point, before, files);
      this.#seen.set(point.manifestKey, files);
    }
  }

  async #read(point: ModelPoint, store: ObjectStore): Promise<Map<string, SeenFile>> {
    const bytes = await this.#get(store, point.manifestKey);
    if (bytes === null) throw new ModelViolation(`no manifest ${point.manifestKey}`);
    if (createHash('sha256').update(bytes).digest('hex') !== point.manifestSha256) {
      throw new ModelViolation(`another manifest at ${point.manifestKey}`);
    }
    const manifest = JSON.parse(bytes.toString()) as Manifest;
    const files = new Map<string, SeenFile>();
    for (const { key } of manifest.chunks) {
      const chunk = await this.#get(store, key);
      if (chunk === null) throw new ModelViolation(`no chunk ${key}`);
      for (const line of zstdDecompressSync(chunk).toString().split('\n').slice(0, -1)) {
        const entry = JSON.parse(line) as Entry;
        files.set(entry.path, { line, body: await this.#body(point, entry, store) });
      }
    }
    if (files.size !== manifest.files) throw new ModelViolation(`${files.size} of ${manifest.files} files`);
    return files;
  }

  async #body(point: ModelPoint, entry: Entry, store: ObjectStore): Promise<string | null> {
    if (entry.state === 'failed') return null;
    const body =
      entry.offset === undefined
        ? await this.#get(store, entry.key)
        : await readMember(async (key) => await this.#get(store, key), entry);
    if (body === null) throw new ModelViolation(`${point.manifestKey}: no object for ${entry.path} at ${entry.key}`);
    if (body.length !== entry.size) throw new ModelViolation(`${point.manifestKey}: size of ${entry.path}`);
    const md5 = createHash('md5').update(body).digest('hex');
    if (entry.hash !== null && entry.hash !== `md5:${md5}`) {
      throw new ModelViolation(`${point.manifestKey}: hash of ${entry.path}`);
    }
    return body.toString('hex');
  }

  /** What lies at a key, without its encryption. */
  async #get(store: ObjectStore, key: string): Promise<Buffer | null> {
    const body = await store.get(this.#prefix + key);
    return body === null || this.#cipher === null ? body : this.#cipher.open(body);
  }

  #requireSame(point: ModelPoint, before: Map<string, SeenFile>, files: Map<string, SeenFile>): void {
    for (const [path, file] of before) {
      const now = files.get(path);
      if (now?.line !== file.line || now.body !== file.body) {
        throw new ModelViolation(`${point.manifestKey}: ${path} is not what it was`);
      }
    }
  }

  #judge(point: ModelPoint, files: Map<string, SeenFile>): void {
    const window = this.windows.get(`${point.run}.${point.claim}`);
    if (window === undefined) throw new ModelViolation(`nobody wrote ${point.manifestKey}`);
    for (const [path, { line, body }] of files) {
      const { state, mtime } = JSON.parse(line) as Entry;
      if (window.calm && state !== 'stored') throw new ModelViolation(`${path} is ${state} though nothing happened`);
      const held = state === 'stored' ? this.#source.heldSince(path, window.since) : this.#source.everHeld(path);
      // Content and time belong together: a file that changed while it was copied must not pass for what the listing showed.
      const isHeld = held.some((version) => version?.body.toString('hex') === body && version.mtime === mtime);
      if (state !== 'failed' && !isHeld) {
        throw new ModelViolation(`${point.manifestKey}: ${path} (${state}) never held this`);
      }
    }
    for (const path of this.#source.everPaths()) {
      const always = this.#source.heldSince(path, window.since).every((version) => version !== null);
      const isHidden = window.unreadable.some((folder) => path.startsWith(`${folder}/`));
      if (always && !isHidden && !files.has(path)) throw new ModelViolation(`${point.manifestKey}: ${path} is missing`);
      const never = this.#source.heldSince(path, window.since).every((version) => version === null);
      if (window.calm && never && files.has(path))
        throw new ModelViolation(`${point.manifestKey}: ${path} was deleted`);
    }
  }
}

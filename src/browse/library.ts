import { JobBucket } from '../backup/job-bucket.ts';
import { openManifest, fetchChunk } from '../backup/point-reader.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { ChunkRef, Entry, Manifest } from '../layout/types.ts';
import type { ObjectStore } from '../storage/port.ts';
import { ByteCache } from './byte-cache.ts';
import { indexEntries, type ChunkIndex } from './chunk-index.ts';
import { OpenPoint } from './open-point.ts';

/** Which point of which job, and through which store its bucket is read. */
export interface PointPlace {
  readonly store: ObjectStore;
  /** Of the job. */
  readonly prefix: string;
  readonly job: string;
  readonly keys: MacKeys;
  /** Asked when something has to be read from the bucket; null or absent: the job is not encrypted. */
  readonly cipher?: () => Promise<JobCipher | null>;
  readonly run: string;
  /** `c<number>-<8 hex>` */
  readonly claim: string;
  /** As the database recorded it at the commit. */
  readonly manifestSha256: string;
}

/** Several requests wait for one fetch, so it ends with none of them, but by itself. */
const FETCH_LIMIT_MS = 60_000;
/** Of a decoded entry in memory, roughly. */
const ENTRY_BYTES = 600;
const CHUNK_REF_BYTES = 500;

/**
 * The points that this process has looked into lately. Points never change, and chunks are named by their content, so nothing in here can be
 * out of date; whether a point may still be shown is asked of the database each time.
 */
export class PointLibrary {
  readonly #manifests: ByteCache<Manifest>;
  readonly #indexes: ByteCache<ChunkIndex>;
  readonly #entries: ByteCache<readonly Entry[]>;

  /** @param limitBytes memory for all that is kept */
  constructor(limitBytes: number) {
    this.#manifests = new ByteCache(limitBytes / 16);
    this.#entries = new ByteCache((limitBytes * 3) / 16);
    this.#indexes = new ByteCache((limitBytes * 12) / 16);
  }

  /** Roughly how many bytes are kept. */
  get bytes(): number {
    return this.#manifests.bytes + this.#indexes.bytes + this.#entries.bytes;
  }

  /** @throws BackupError `ERR_MANIFEST_INVALID`, `ERR_KEY_UNKNOWN`, and what the storage says */
  async open(place: PointPlace): Promise<OpenPoint> {
    const key = `${place.job} ${place.run} ${place.claim} ${place.manifestSha256}`;
    const manifest = await this.#manifests.get(key, async () => {
      const source = { bucket: await bucketOf(place), job: place.job, keys: place.keys };
      const opened = await openManifest(source, place, place.manifestSha256);
      return { value: opened.manifest, bytes: 2_000 + opened.manifest.chunks.length * CHUNK_REF_BYTES };
    });
    return new OpenPoint(manifest, {
      index: async (ref) =>
        await this.#indexes.get(`${place.job} ${ref.key}`, async () => {
          const value = indexEntries(await fetchChunk(await bucketOf(place), ref));
          return { value, bytes: value.bytes };
        }),
      entries: async (ref) => await this.#entriesOf(place, ref),
    });
  }

  async #entriesOf(place: PointPlace, ref: ChunkRef): Promise<readonly Entry[]> {
    return await this.#entries.get(`${place.job} ${ref.key}`, async () => {
      const value = await fetchChunk(await bucketOf(place), ref);
      return { value, bytes: value.length * ENTRY_BYTES };
    });
  }
}

async function bucketOf({ store, prefix, cipher }: PointPlace): Promise<JobBucket> {
  return new JobBucket(store, prefix, AbortSignal.timeout(FETCH_LIMIT_MS), (await cipher?.()) ?? null);
}

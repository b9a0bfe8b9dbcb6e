import { archiveKey } from '../layout/keys.ts';
import type { FileSealer } from '../crypt/file-format.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { giveBack } from '../storage/give-back.ts';
import type { ObjectStore } from '../storage/port.ts';
import { PartUpload, type PartBuffers, type PartSizes } from './part-upload.ts';

export interface SeriesOptions {
  readonly store: ObjectStore;
  /** Of the job. */
  readonly prefix: string;
  readonly run: string;
  readonly claim: string;
  readonly cipher: JobCipher | null;
  /** A new object begins where the next frame would make the current one longer than this. */
  readonly objectBytes: number;
  readonly parts: PartSizes;
  readonly buffers: PartBuffers;
  readonly signal: AbortSignal;
}

/** What is sealed at once: a second whole frame need not be held beside the first. */
const SEALED_AT_ONCE = 1024 * 1024;

/** Where bytes of an archive lie. */
export interface Place {
  /** Relative to the job's prefix. */
  readonly key: string;
  /** In the object, before it was encrypted. */
  readonly offset: number;
  /** In all objects of the archive together. */
  readonly position: number;
}

interface OpenObject {
  readonly key: string;
  readonly upload: PartUpload;
  /** Each object is an encrypted file by itself. */
  readonly sealer: FileSealer | null;
  bytes: number;
}

/**
 * The objects of one archive, one after the other. None of them is completed before the last one is: an archive that fails leaves no object,
 * however long it was.
 */
export class ObjectSeries {
  readonly #options: SeriesOptions;
  readonly #full: PartUpload[] = [];
  #current: OpenObject | null = null;
  #position = 0;

  constructor(options: SeriesOptions) {
    this.#options = options;
  }

  /** Bytes so far, before encryption. */
  get bytes(): number {
    return this.#position;
  }

  /** Bytes that go into the bucket. */
  get storedBytes(): number {
    const all = [...this.#full, ...(this.#current === null ? [] : [this.#current.upload])];
    return all.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Copies a frame, which lies in one object. Returns once there is room for more. */
  async append(frame: readonly Buffer[], length: number): Promise<Place> {
    const { objectBytes } = this.#options;
    if (this.#current !== null && this.#current.bytes > 0 && this.#current.bytes + length > objectBytes) {
      await this.#close(this.#current);
    }
    const object = (this.#current ??= this.#open());
    const place = { key: object.key, offset: object.bytes, position: this.#position };
    object.bytes += length;
    this.#position += length;
    for (const piece of frame) {
      if (object.sealer === null) await object.upload.write(piece);
      else await sealInto(object.upload, object.sealer, piece);
    }
    return place;
  }

  /** Makes the objects. */
  async finish(): Promise<void> {
    if (this.#current !== null) await this.#close(this.#current);
    for (const upload of this.#full) await upload.complete();
  }

  /** Ends what is under way and drops what was sent; never throws. */
  async abort(): Promise<void> {
    const all = [...this.#full, ...(this.#current === null ? [] : [this.#current.upload])];
    await Promise.all(all.map(async (upload) => await upload.abort()));
  }

  #open(): OpenObject {
    const { store, prefix, run, claim, cipher, parts, buffers, signal } = this.#options;
    const key = archiveKey(run, claim, this.#full.length + 1);
    const upload = new PartUpload({ store, key: prefix + key, parts, buffers, signal });
    return { key, upload, sealer: cipher?.sealer() ?? null, bytes: 0 };
  }

  async #close(object: OpenObject): Promise<void> {
    if (object.sealer !== null) await object.upload.write(object.sealer.end());
    await object.upload.sendRest();
    this.#full.push(object.upload);
    this.#current = null;
  }
}

async function sealInto(upload: PartUpload, sealer: FileSealer, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += SEALED_AT_ONCE) {
    const sealed = sealer.update(bytes.subarray(at, at + SEALED_AT_ONCE));
    await upload.write(sealed);
    giveBack(sealed);
  }
}

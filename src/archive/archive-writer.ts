import { giveBack } from '../storage/give-back.ts';
import { FrameBuilder, type Member, type RawFrame } from './frame-builder.ts';
import type { ObjectSeries, Place } from './object-series.ts';
import { END_OF_ARCHIVE, type TarMember } from './tar.ts';
import { compressFrame } from './zstd-frames.ts';

/** Frames that are being compressed, or wait for their turn to be sent. */
const FRAMES_UNDER_WAY = 2;

/** A member that lies in the archive whole. */
export interface PlacedMember {
  readonly member: TarMember & { readonly hash: string | null };
  /** The object in which its first frame begins, relative to the job's prefix, and where in it. */
  readonly key: string;
  readonly offset: number;
  /** From there up to the end of its last frame, which may lie in a further object. */
  readonly length: number;
}

export interface ArchiveWriterOptions {
  readonly objects: ObjectSeries;
  readonly frameBytes: number;
  /** Hears of each member once it has its place, in the order in which they were written. */
  readonly onPlaced: (placed: PlacedMember) => Promise<void>;
}

/** Members in, objects out: tar, cut into frames that are compressed side by side and sent in their order. */
export class ArchiveWriter {
  readonly members: FrameBuilder;
  readonly #options: ArchiveWriterOptions;
  readonly #starts = new Map<Member, Place>();
  #last: Promise<void> = Promise.resolve();
  #underWay: Promise<void>[] = [];
  #failure: { readonly error: unknown } | null = null;

  constructor(options: ArchiveWriterOptions) {
    this.#options = options;
    this.members = new FrameBuilder(options.frameBytes, async (frame) => await this.#take(frame));
  }

  /** Ends the stream; all members have their places then, and the objects are made. */
  async finish(): Promise<void> {
    await this.members.finish(END_OF_ARCHIVE);
    await this.#last;
    this.#throwFailure();
    await this.#options.objects.finish();
  }

  /** Drops everything; never throws. */
  async abort(): Promise<void> {
    this.#failure ??= { error: new Error('the archive was given up') };
    const { objects } = this.#options;
    // What waits for an upload goes on when that is ended; afterwards nothing begins any more.
    await objects.abort();
    await this.#last;
    await objects.abort();
  }

  /** Returns when there is room for the next frame. */
  async #take(frame: RawFrame): Promise<void> {
    const compressed = compressFrame(frame.bytes).finally(frame.release);
    // It is thrown when its turn comes.
    compressed.catch(() => undefined);
    const before = this.#last;
    const sent = (async () => {
      await before;
      await this.#send(frame, await compressed);
    })().catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#last = sent;
    this.#underWay.push(sent);
    if (this.#underWay.length >= FRAMES_UNDER_WAY) await this.#underWay.shift();
    this.#throwFailure();
  }

  async #send(frame: RawFrame, compressed: readonly Buffer[]): Promise<void> {
    if (this.#failure !== null) return;
    const length = compressed.reduce((sum, piece) => sum + piece.length, 0);
    const place = await this.#options.objects.append(compressed, length);
    for (const piece of compressed) giveBack(piece);
    for (const member of frame.begins) this.#starts.set(member, place);
    const end = place.position + length;
    for (const member of frame.ends) {
      const start = this.#starts.get(member) ?? place;
      const { key, offset } = start;
      await this.#options.onPlaced({ member, key, offset, length: end - start.position });
    }
    // Only the last one can go on in the next frame.
    const open = frame.begins.at(-1);
    if (open === undefined && frame.ends.length === 0) return;
    this.#starts.clear();
    if (open !== undefined && open !== frame.ends.at(-1)) this.#starts.set(open, place);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

import { DEFAULT_FRAME_BYTES } from './frame-builder.ts';
import { PART_SIZES, type PartSizes } from './part-upload.ts';

/** Sizes of an archive; tests take small ones. */
export interface ArchiveSettings {
  /** Content of a frame, before it is compressed: what has to be read to get at one small file. */
  readonly frameBytes: number;
  /** Largest object, before encryption; then the archive goes on in a further one. */
  readonly objectBytes: number;
  readonly partBytes: PartSizes;
  /** What may be held in memory of parts that are being filled or sent. */
  readonly uploadBytes: number;
}

const MEBIBYTE = 1024 * 1024;

export const ARCHIVE_SETTINGS: ArchiveSettings = {
  frameBytes: DEFAULT_FRAME_BYTES,
  objectBytes: 512 * 1024 * MEBIBYTE,
  partBytes: PART_SIZES,
  uploadBytes: 56 * MEBIBYTE,
};

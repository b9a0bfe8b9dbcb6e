import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { zstdDecompressSync } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Entry } from '../../src/layout/types.ts';

/** A file out of an archive, by its place and with nothing of the package: zstd, and a tar library of others. Null: it is not there. */
export async function readMember(get: (key: string) => Promise<Buffer | null>, entry: Entry): Promise<Buffer | null> {
  const { key, path, offset = 0, length = 0 } = entry;
  const parts: Buffer[] = [];
  let missing = offset + length;
  for (let number = partOf(key); missing > 0; number += 1) {
    const part = await get(keyOfPart(key, number));
    if (part === null) return null;
    parts.push(part);
    missing -= part.length;
  }
  const tar = decompressed(Buffer.concat(parts).subarray(offset, offset + length));
  for await (const member of Readable.from([tar]).pipe(extract())) {
    const body = await buffer(member);
    if (member.header.name === path) return body;
  }
  return null;
}

function partOf(key: string): number {
  return Number(/\.zst\.(\d+)$/.exec(key)?.[1] ?? '1');
}

function keyOfPart(key: string, number: number): string {
  const base = key.replace(/(\.zst)\.\d+$/, '$1');
  return number === 1 ? base : `${base}.${String(number).padStart(3, '0')}`;
}

/** Frames that follow each other. */
function decompressed(frames: Buffer): Buffer {
  const contents: Buffer[] = [];
  for (let at = 0; at < frames.length;) {
    const { buffer: content, engine } = zstdDecompressSync(frames.subarray(at), { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    contents.push(content);
    at += engine.bytesWritten;
  }
  return Buffer.concat(contents);
}

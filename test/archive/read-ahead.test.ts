import { describe, expect, it } from '@jest/globals';
import { Patience, readAhead } from '../../src/archive/read-ahead.ts';
import type { SourceReader } from '../../src/engines/port.ts';
import type { ListedFile } from '../../src/layout/compare.ts';
import { TestJob } from '../backup/job.ts';

const MEBIBYTE = 1024 * 1024;

describe('files whose size nobody knows', () => {
  const BODY = Buffer.alloc(10 * MEBIBYTE);

  /** The most that is held at once, by what was read and not yet given out. */
  async function peakOf(count: number, body: Buffer): Promise<{ peak: number; read: number }> {
    let held = 0;
    let peak = 0;
    const reader: SourceReader = {
      filesAtOnce: 16,
      async open() {
        held += body.length;
        peak = Math.max(peak, held);
        return (async function* () {
          yield body;
        })();
      },
      close: async () => undefined,
    };
    async function* files(): AsyncGenerator<ListedFile> {
      for (let i = 0; i < count; i += 1) yield { path: `d${i}`, size: -1, mtime: '2026-01-01T00:00:00Z', hash: null };
    }
    let read = 0;
    for await (const { content } of readAhead(files(), reader, new Patience())) {
      if (content.kind !== 'whole' || content.body.length !== body.length) throw new Error('not read whole');
      read += 1;
      held -= body.length;
      // Whatever has been begun comes to its end.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { peak, read };
  }

  it('are read ahead in bounded memory, however large they turn out to be', async () => {
    const { peak, read } = await peakOf(60, BODY);
    expect(read).toBe(60);
    expect(peak).toBeLessThan(100 * MEBIBYTE);
  });

  it('are read many at once when they turn out to be small', async () => {
    const { peak, read } = await peakOf(60, Buffer.alloc(1024));
    expect(read).toBe(60);
    expect(peak).toBeGreaterThan(5 * 1024);
  });
});

it('a path that no header of an archive can hold costs that file only', async () => {
  const job = new TestJob({ mode: 'archive' });
  const mtime = '2026-03-01T10:20:30Z';
  const long = Array.from({ length: 400 }, () => 'n'.repeat(200)).join('/');
  const large = `${long}/large`;
  for (const path of ['a', 'z', long, `${long.slice(0, 50_000)}/fits`])
    job.source.set(path, { body: Buffer.from(path), mtime });
  job.source.set(large, { body: Buffer.alloc(9 * MEBIBYTE), mtime });
  const { status, point, request } = await job.run();
  expect(status).toBe('warning');
  expect(request.report?.files.map(({ path, code }) => [path.length, code])).toEqual([
    [long.length, 'ERR_KEY_TOO_LONG'],
    [large.length, 'ERR_KEY_TOO_LONG'],
  ]);
  const stored = [...(await job.entries(point)).values()].filter(({ state }) => state === 'stored');
  expect(stored.map(({ path }) => path.length)).toEqual([1, 50_005, 1]);
}, 60_000);

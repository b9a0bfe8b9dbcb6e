import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDatabase, type Database, type DatabaseSettings } from '../src/database/connect.ts';
import { migrateUp } from '../src/database/migrate.ts';
import { startMariaDb } from '../test/servers/mariadb.ts';
import { emptyTables } from '../test/database/open.ts';
import { tables } from '../migrations/index.ts';
import { insertJob, insertRun } from '../test/database/rows.ts';
import { interleave, median, seconds, spread, type Bench, type BenchOptions, type Figure } from './figures.ts';

const LOOPS = 8;
const RUNS = 800;
const CLIENTS = 40;
const BATCHES = 40;

/** Claims and events against MariaDB and SQLite, with every commit's fsync, from eight processes at once. */
export const databaseBench: Bench = {
  figures: [
    'claims_per_second_mariadb',
    'claims_per_second_sqlite',
    'claims_ratio_mariadb',
    'events_per_second_mariadb',
    'events_per_second_sqlite',
    'events_ratio_mariadb',
  ],
  async run(options) {
    const server = await startMariaDb({ durable: true });
    const folder = mkdtempSync(join(tmpdir(), 'e3-bench-'));
    try {
      server.admin(
        `CREATE DATABASE e3 CHARACTER SET utf8mb4; CREATE USER e3@'%' IDENTIFIED BY 'secret'; GRANT ALL ON e3.* TO e3@'%'`,
      );
      const mariadb = await measure(options, 'mariadb', {
        driver: 'mysql',
        host: '127.0.0.1',
        port: server.port,
        database: 'e3',
        username: 'e3',
        password: 'secret',
      });
      const sqlite = await measure(options, 'sqlite', { driver: 'sqlite', filename: join(folder, 'bench.sqlite') });
      return [...mariadb, ...sqlite];
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function measure(
  options: BenchOptions,
  name: 'mariadb' | 'sqlite',
  settings: DatabaseSettings,
): Promise<Figure[]> {
  const database = openDatabase(settings);
  await migrateUp(database);
  const loops = await Promise.all(Array.from({ length: LOOPS }, async () => await startLoop(settings)));
  try {
    const claims = await interleave(
      options,
      `claims ${name}`,
      async () =>
        RUNS / (await timed(database, loops, () => loops.map((_, index) => ({ do: 'claim', worker: `w${index}` })))),
      async () =>
        RUNS /
        (await timed(database, loops, (ids) =>
          loops.map((_, index) => ({ do: 'bare-update', ids: ids.filter((_id, at) => at % LOOPS === index) })),
        )),
    );
    const one = loops[0] as ChildProcess;
    const events = await interleave(
      options,
      `events ${name}`,
      async () =>
        (BATCHES * 100) / (await timed(database, [one], (ids) => [{ do: 'events', run: ids[0], batches: BATCHES }])),
      async () =>
        (BATCHES * 100) /
        (await timed(database, [one], (ids) => [{ do: 'bare-events', run: ids[0], batches: BATCHES }])),
    );
    return figures(name, claims, events);
  } finally {
    for (const loop of loops) loop.disconnect();
    await database.close();
  }
}

function figures(
  name: 'mariadb' | 'sqlite',
  claims: { a: number[]; b: number[] },
  events: { a: number[]; b: number[] },
): Figure[] {
  const ratios = (pair: { a: number[]; b: number[] }): number[] =>
    pair.a.map((value, index) => value / (pair.b[index] ?? NaN));
  const figure = (key: string, values: number[], unit: string, limit: number): Figure => ({
    name: key,
    value: median(values),
    unit,
    limit,
    better: 'higher',
    spread: spread(values),
  });
  return [
    figure(`claims_per_second_${name}`, claims.a, 'claims/s', 200),
    figure(`events_per_second_${name}`, events.a, 'events/s', 5_000),
    ...(name === 'mariadb'
      ? [
          figure('claims_ratio_mariadb', ratios(claims), '× bare conditional updates', 0.4),
          figure('events_ratio_mariadb', ratios(events), '× bare multi-row inserts', 0.5),
        ]
      : []),
  ];
}

async function startLoop(settings: DatabaseSettings): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./database.process.ts', import.meta.url)), [JSON.stringify(settings)]);
  await once(child, 'message');
  return child;
}

/** By TRUNCATE on MariaDB: thousands of deleted rows that still wait to be purged would be measured along. */
async function refresh(database: Database): Promise<void> {
  if (database.dialect === 'sqlite') return await emptyTables(database);
  await database.knex.transaction(async (trx) => {
    await trx.raw('SET FOREIGN_KEY_CHECKS = 0');
    for (const table of tables) await trx.raw('TRUNCATE TABLE ??', [table]);
    await trx.raw('SET FOREIGN_KEY_CHECKS = 1');
  });
}

/** Queues the runs afresh, then times the loops from the order to the last answer. */
async function timed(
  database: Database,
  loops: readonly ChildProcess[],
  orders: (ids: number[]) => object[],
): Promise<number> {
  await refresh(database);
  const ids: number[] = [];
  for (let index = 0; index < RUNS; index += 1) {
    const client_id = index % CLIENTS;
    const run = await insertRun(database, await insertJob(database, { client_id }), { client_id });
    ids.push(run.id);
  }
  const given = orders(ids);
  return await seconds(async () => {
    await Promise.all(
      loops.map(async (loop, index) => {
        const answered = once(loop, 'message');
        loop.send(given[index] as object);
        await answered;
      }),
    );
  });
}

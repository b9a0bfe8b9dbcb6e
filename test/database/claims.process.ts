import { claimRuns } from '../../src/database/claims.ts';
import { openDatabase, type DatabaseSettings } from '../../src/database/connect.ts';

/** One worker that claims until nothing is left, as a process of its own: prints the uuids it got. */
const [settings, uuid, limits] = process.argv.slice(2) as [string, string, string];
const database = openDatabase(JSON.parse(settings) as DatabaseSettings);
const got: string[] = [];
for (let empty = 0; empty < 3;) {
  const runs = await claimRuns(database, {
    worker: { uuid, hostname: uuid, maxConcurrent: 1000 },
    limits: JSON.parse(limits) as { global: number | null; perClient: number | null },
    leaseMs: 60_000,
    slots: 3,
  });
  if (runs.length === 0) empty += 1;
  got.push(...runs.map((run) => run.uuid));
}
process.stdout.write(JSON.stringify(got));
await database.close();

// Writes more than the folder takes which it is given, in each way in which a backup does, and prints what came of it.
import { sortExternally } from '../../src/backup/sorted-listing.ts';
import { SpillList } from '../../src/backup/spill.ts';
import { writeFileList } from '../../src/engines/rclone/process.ts';

const folder = process.argv[2] ?? '';
const space = { folder, memoryItems: 1_000 };

async function* names(): AsyncGenerator<string> {
  for (let i = 0; i < 50_000; i += 1) yield `file ${i}${'x'.repeat(50)}`;
}

async function outcomeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return 'written';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

const outcomes = [
  await outcomeOf(async () => await sortExternally(names(), (a, b) => (a < b ? -1 : 1), space)),
  await outcomeOf(async () => {
    const list = new SpillList<string>(space);
    for await (const name of names()) await list.add(name);
    await list.finish();
  }),
  await outcomeOf(async () => await writeFileList(folder, names())),
];
process.stdout.write(JSON.stringify(outcomes));

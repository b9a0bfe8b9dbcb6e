import { parseArgs } from 'node:util';
import { memoryModelBucket } from './faults.ts';
import { playHistory } from './history.ts';

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '14' },
  },
});

/** `npm run model -- --histories N --seed S [--steps K]`: N histories from seed S on, on the in-process store. */
const [count, first, steps] = [Number(values.histories), Number(values.seed), Number(values.steps)];
const totals = { points: 0, claims: 0, pruned: 0 };
const troubles: Record<string, number> = {};
for (let seed = first; seed < first + count; seed += 1) {
  try {
    const report = await playHistory({ seed, bucket: memoryModelBucket(), prefix: 'p/', steps });
    totals.points += report.points;
    totals.claims += report.claims;
    totals.pruned += report.pruned;
    for (const [kind, times] of Object.entries(report.troubles)) troubles[kind] = (troubles[kind] ?? 0) + times;
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exitCode = 1;
    break;
  }
  if ((seed - first + 1) % 50 === 0) console.log(`${seed - first + 1} histories`);
}
console.log(JSON.stringify({ ...totals, troubles }));

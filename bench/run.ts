import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runExecutable } from '../src/command-line.ts';
import { BackupError } from '../src/errors/backup-error.ts';
import { archiveBench } from './archive.ts';
import { browseBench } from './browse.ts';
import { chainBench } from './chain.ts';
import { cryptBench } from './crypt.ts';
import { databaseBench } from './database.ts';
import { distanceBench } from './distance.ts';
import type { Bench, BenchOptions, Figure } from './figures.ts';
import { idleBench } from './idle.ts';
import { millionBench } from './million.ts';
import { nochangeBench } from './nochange.ts';
import { pruneBench } from './prune.ts';
import { reindexBench } from './reindex.ts';
import { runBench } from './runs.ts';
import { sourcesBench } from './sources.ts';

const benches: readonly Bench[] = [
  runBench,
  distanceBench,
  cryptBench,
  archiveBench,
  chainBench,
  databaseBench,
  idleBench,
  browseBench,
  pruneBench,
  nochangeBench,
  millionBench,
  reindexBench,
  sourcesBench,
];

/** Not for users: smaller sizes, to try the measurement itself. Nothing is written then. */
const scale = Number(process.env['BENCH_SCALE'] ?? 1);

await runExecutable({
  name: 'bench',
  summary: 'Measures what this package promises, as ratios within one run, and writes bench/results.json.',
  positionals: [
    { name: 'figure', description: `one of: ${benches.flatMap((bench) => bench.figures).join(', ')}`, optional: true },
  ],
  options: {
    json: { type: 'boolean', description: 'Print one JSON object as the last line of stdout' },
    pairs: {
      type: 'string',
      value: 'count',
      description: 'Interleaved pairs per figure (default: 9 where a pair takes under 20 s, else 3)',
    },
  },
  async main({ values, positionals }) {
    const chosen = benches.filter((bench) => positionals[0] === undefined || bench.figures.includes(positionals[0]));
    if (chosen.length === 0)
      throw new BackupError('ERR_USAGE', `There is no figure "${positionals[0]}". Run bench --help to see all.`);
    const pairs = values.pairs === undefined ? undefined : Number(values.pairs);
    if (pairs !== undefined && !(Number.isInteger(pairs) && pairs >= 1))
      throw new BackupError('ERR_USAGE', '--pairs takes a whole number from 1 on.');
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    const options: BenchOptions = {
      pairs,
      wanted: (figure) => positionals[0] === undefined || positionals[0] === figure,
      scale,
      say,
    };
    const figures: Figure[] = [];
    for (const bench of chosen) figures.push(...(await bench.run(options)));
    const wanted = positionals[0] === undefined ? figures : figures.filter((figure) => figure.name === positionals[0]);
    const file = join(dirname(fileURLToPath(import.meta.url)), 'results.json');
    if (scale === 1) writeFileSync(file, `${JSON.stringify({ figures: wanted }, null, 2)}\n`);
    const table = wanted.map(tableRow).join('\n');
    if (values.json) process.stderr.write(`${table}\n`);
    process.stdout.write(values.json ? `${JSON.stringify({ figures: wanted })}\n` : `${table}\n`);
    return wanted.every(meetsGoal) ? 0 : 1;
  },
});

function meetsGoal(figure: Figure): boolean {
  return figure.better === 'lower' ? figure.value <= figure.limit : figure.value >= figure.limit;
}

function tableRow(figure: Figure): string {
  const number = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(3));
  const range = figure.spread ? `${number(figure.spread[0])} … ${number(figure.spread[1])}` : '';
  return [
    meetsGoal(figure) ? 'ok  ' : 'MISS',
    figure.name.padEnd(28),
    number(figure.value).padStart(10),
    figure.unit.padEnd(28),
    `goal ${figure.better === 'lower' ? '≤' : '≥'} ${figure.limit}`.padEnd(16),
    range,
  ].join(' ');
}

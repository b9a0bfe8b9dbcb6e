import { filesFolder } from '../src/layout/keys.ts';
import { figureOf, interleave, median, type Bench, type BenchOptions, type Figure } from './figures.ts';
import { Installation, type MeasuredRun } from './installation.ts';
import { plainCopy } from './plain-rclone.ts';
import { startServer, type BenchServer } from './servers.ts';
import { startStore } from './store.ts';
import { writeLargeFile, writeTree } from './trees.ts';

const SMALL_FILES = 2_000;
const SMALL_BYTES = 8 * 1024;
const LARGE_BYTES = 2 * 1024 ** 3;

/** Whole first runs, S3 to S3 on loopback, beside `rclone copy` alone with the very same command. */
export const runBench: Bench = {
  figures: ['run_fixed_seconds', 'run_ratio_small', 'cpu_share_small', 'run_ratio_large'],
  async run(options) {
    const { wanted, scale } = options;
    const figures: Figure[] = [];
    const ratios = wanted('run_ratio_small') || wanted('run_ratio_large');
    let fixedSeconds = 0;
    if (ratios || wanted('run_fixed_seconds')) {
      const fixed = await withSource(
        (folder) => writeTree(folder, 1, () => 1),
        async (source, destination) => await comparePairs(options, 'one file of one byte', source, destination),
      );
      const differences = fixed.map(({ run, copy }) => run - copy);
      figures.push(figureOf('run_fixed_seconds', differences, { unit: 's', limit: 1, better: 'lower' }));
      fixedSeconds = median(differences);
    }
    const ratio = (name: string, limit: number, pairs: readonly Pair[]): Figure =>
      figureOf(
        name,
        pairs.map(({ run, copy }) => (run - fixedSeconds) / copy),
        { unit: '× rclone copy', limit, better: 'lower' },
      );
    if (wanted('run_ratio_small') || wanted('cpu_share_small')) {
      await withSource(
        (folder) => writeTree(folder, Math.ceil(SMALL_FILES * scale), () => SMALL_BYTES),
        async (source, destination) => {
          if (wanted('run_ratio_small'))
            figures.push(
              ratio('run_ratio_small', 1.15, await comparePairs(options, 'small files', source, destination)),
            );
          if (wanted('cpu_share_small')) figures.push(await cpuShare(options, source, destination));
        },
      );
    }
    if (wanted('run_ratio_large')) {
      await withSource(
        (folder) => writeLargeFile(folder, Math.ceil(LARGE_BYTES * scale)),
        async (source, destination) =>
          figures.push(
            ratio('run_ratio_large', 1.05, await comparePairs(options, 'a large file', source, destination)),
          ),
      );
    }
    return figures;
  },
};

/** Seconds of a run and of the copy beside it. */
interface Pair {
  readonly run: number;
  readonly copy: number;
}

async function withSource<T>(
  fill: (folder: string) => void,
  work: (source: BenchServer, destination: BenchServer) => Promise<T>,
): Promise<T> {
  const source = await startServer({ fill });
  try {
    const destination = await startStore();
    try {
      return await work(source, destination);
    } finally {
      await destination.stop();
    }
  } finally {
    await source.stop();
  }
}

async function comparePairs(
  options: BenchOptions,
  label: string,
  source: BenchServer,
  destination: BenchServer,
): Promise<Pair[]> {
  const installation = await Installation.start({ source, destination });
  let copies = 0;
  try {
    const { a, b } = await interleave(
      options,
      label,
      async () => (await firstRun(installation)).seconds,
      async () => {
        copies += 1;
        // As deep as the files of a run lie: for the server each folder above a key is work.
        const folder = filesFolder('00000000-0000-7000-8000-000000000000', 'c1-00000000').slice(0, -1);
        const took = await plainCopy(source.access, destination.access, `copy-${copies}/${folder}`);
        await destination.discard(`copy-${copies}`);
        return took;
      },
    );
    return a.map((run, index) => ({ run, copy: b[index] ?? NaN }));
  } finally {
    await installation.stop();
  }
}

async function cpuShare(options: BenchOptions, source: BenchServer, destination: BenchServer): Promise<Figure> {
  const installation = await Installation.start({ source, destination }, { accounted: true });
  try {
    const shares: number[] = [];
    for (let run = 0; run <= (options.pairs ?? 9); run += 1) {
      const { cpu } = await firstRun(installation);
      // The first one warms up: a worker runs for months.
      if (run > 0) shares.push(cpu.ours / cpu.rclone);
      options.say(`cpu: ours ${cpu.ours.toFixed(2)} s, rclone ${cpu.rclone.toFixed(2)} s`);
    }
    return figureOf('cpu_share_small', shares, { unit: "× rclone's CPU time", limit: 0.25, better: 'lower' });
  } finally {
    await installation.stop();
  }
}

async function firstRun(installation: Installation): Promise<MeasuredRun> {
  const job = await installation.newJob();
  const run = await installation.run(job);
  await installation.discard(job);
  return run;
}

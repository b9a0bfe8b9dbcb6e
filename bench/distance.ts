import { filesFolder } from '../src/layout/keys.ts';
import { openS3Store } from '../src/storage/s3.ts';
import { figureOf, interleave, type Bench, type BenchOptions, type Figure } from './figures.ts';
import { Installation, type BenchJob } from './installation.ts';
import { plainFetch, plainSync } from './plain-rclone.ts';
import { restoreSeconds } from './restore.ts';
import { startServer, type BenchServer } from './servers.ts';
import { mixedSize, nameOf, noise, writeTree } from './trees.ts';

const FILES = 10_000;
const CHANGED = 300;
/** In each direction, so that an answer takes twice this. */
const DELAY_MS = 10;

/** Whole runs over a distance, source and destination both far away, beside `rclone sync` without any flag. */
export const distanceBench: Bench = {
  figures: ['first_speedup', 'nochange_speedup', 'changed_speedup', 'restore_ratio'],
  async run(options) {
    const files = Math.ceil(FILES * options.scale);
    const source = await startServer({ distant: true, fill: (folder) => writeTree(folder, files, mixedSize) });
    const destination = await startServer({ distant: true });
    const installation = await Installation.start({ source, destination });
    try {
      const distance = new Distance(options, { source, destination, installation, files });
      const figures: Figure[] = [];
      if (options.wanted('first_speedup')) figures.push(await distance.first());
      if (options.wanted('nochange_speedup') || options.wanted('changed_speedup')) {
        const copies = await distance.prepareCopies();
        if (options.wanted('nochange_speedup')) figures.push(await distance.unchanged(copies));
        if (options.wanted('changed_speedup')) figures.push(await distance.changed(copies));
      }
      if (options.wanted('restore_ratio')) figures.push(await distance.restored());
      return figures;
    } finally {
      await installation.stop();
      await source.stop();
      await destination.stop();
    }
  },
};

interface World {
  readonly source: BenchServer;
  readonly destination: BenchServer;
  readonly installation: Installation;
  readonly files: number;
}

/** The same tree at the destination, once by our runs and once by rclone. */
interface Copies {
  readonly job: BenchJob;
  readonly synced: string;
}

class Distance {
  readonly #options: BenchOptions;
  readonly #world: World;
  #synced = 0;
  #changes = 0;

  constructor(options: BenchOptions, world: World) {
    this.#options = options;
    this.#world = world;
  }

  async first(): Promise<Figure> {
    const { installation, destination, files } = this.#world;
    await this.#setDelay(DELAY_MS);
    const { a, b } = await interleave(
      this.#options,
      'first run over a distance',
      async () => {
        const job = await installation.newJob();
        const took = await this.#run(job, files);
        await installation.discard(job);
        return took;
      },
      async () => {
        const target = this.#newTarget();
        const took = await this.#sync(target);
        await destination.discard(target);
        return took;
      },
    );
    return speedup('first_speedup', 8, { ours: a, sync: b });
  }

  /** Made without delay: how they came about is not measured. */
  async prepareCopies(): Promise<Copies> {
    await this.#setDelay(0);
    const job = await this.#world.installation.newJob();
    const synced = this.#newTarget();
    await this.#run(job, this.#world.files);
    await this.#sync(synced);
    await this.#setDelay(DELAY_MS);
    return { job, synced };
  }

  async unchanged({ job, synced }: Copies): Promise<Figure> {
    const { a, b } = await interleave(
      this.#options,
      'nothing changed',
      async () => await this.#run(job, 0),
      async () => await this.#sync(synced),
    );
    return speedup('nochange_speedup', 25, { ours: a, sync: b });
  }

  async changed({ job, synced }: Copies): Promise<Figure> {
    const { a, b } = await interleave(
      this.#options,
      'some changed',
      async () => await this.#run(job, await this.#changeSome()),
      async () => await this.#sync(synced),
    );
    return speedup('changed_speedup', 15, { ours: a, sync: b });
  }

  /** Of a point of a first run, to a folder in memory: restore without its reading back, beside rclone alone. */
  async restored(): Promise<Figure> {
    const { installation, destination, files } = this.#world;
    await this.#setDelay(0);
    const job = await installation.newJob();
    await this.#run(job, files);
    await this.#setDelay(DELAY_MS);
    const signal = new AbortController().signal;
    const { source, place } = await installation.newestPoint(job, destination.access, signal);
    const { a, b } = await interleave(
      this.#options,
      'restore',
      async () => await restoreSeconds({ source, place, access: destination.access, signal, files }),
      async () => await plainFetch(destination.access, `${source.bucket.prefix}${filesFolder(place.run, place.claim)}`),
    );
    const ratios = a.map((ours, pair) => ours / (b[pair] ?? NaN));
    return figureOf('restore_ratio', ratios, { unit: '× rclone copy', limit: 1.2, better: 'lower' });
  }

  /** Others each time, spread over the folders. They are written through the server, which would not look at its folder again. */
  async #changeSome(): Promise<number> {
    const { source, files } = this.#world;
    const store = openS3Store(source.near);
    const step = Math.floor(FILES / CHANGED);
    this.#changes += 1;
    let changed = 0;
    for (let index = this.#changes % step; index < files && changed < CHANGED; index += step) {
      await store.put(nameOf(index), noise(files * this.#changes + index, mixedSize(index)));
      changed += 1;
    }
    return changed;
  }

  /** A figure of a run that did something else would mean nothing. */
  async #run(job: BenchJob, filesToCopy: number): Promise<number> {
    const { seconds, filesCopied } = await this.#world.installation.run(job);
    if (filesCopied !== filesToCopy) throw new Error(`${filesCopied} files were copied instead of ${filesToCopy}`);
    return seconds;
  }

  async #sync(target: string): Promise<number> {
    return await plainSync(this.#world.source.access, this.#world.destination.access, target);
  }

  #newTarget(): string {
    this.#synced += 1;
    return `sync-${this.#synced}`;
  }

  async #setDelay(delayMs: number): Promise<void> {
    await this.#world.source.setDelay(delayMs);
    await this.#world.destination.setDelay(delayMs);
  }
}

function speedup(name: string, limit: number, seconds: { ours: readonly number[]; sync: readonly number[] }): Figure {
  const ratios = seconds.ours.map((ours, pair) => (seconds.sync[pair] ?? NaN) / ours);
  return figureOf(name, ratios, { unit: '× as fast as rclone sync', limit, better: 'higher' });
}

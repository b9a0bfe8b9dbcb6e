import { newCryptPasswords, openJobCipher } from '../src/crypt/job-cipher.ts';
import { filesFolder } from '../src/layout/keys.ts';
import { figureOf, interleave, type Bench } from './figures.ts';
import { Installation } from './installation.ts';
import { plainCopy } from './plain-rclone.ts';
import { startServer } from './servers.ts';
import { startStore } from './store.ts';
import { mixedSize, writeTree } from './trees.ts';

const FILES = 10_000;

/** Whole first runs of an encrypted job, S3 to S3 on loopback, beside `rclone copy` alone into rclone crypt with the very same command. */
export const cryptBench: Bench = {
  figures: ['crypt_ratio'],
  async run(options) {
    const files = Math.ceil(FILES * options.scale);
    const cipher = await openJobCipher(newCryptPasswords());
    const source = await startServer({ fill: (folder) => writeTree(folder, files, mixedSize) });
    const destination = await startStore();
    const installation = await Installation.start({ source, destination });
    let copies = 0;
    try {
      const { a, b } = await interleave(
        options,
        'first run with encryption',
        async () => {
          const job = await installation.newJob({ encryption_enabled: true });
          const { seconds, filesCopied } = await installation.run(job);
          if (filesCopied !== files) throw new Error(`${filesCopied} of ${files} files were copied`);
          await installation.discard(job);
          return seconds;
        },
        async () => {
          copies += 1;
          // As deep as the files of a run lie: for the server each folder above a key is work.
          const folder = filesFolder('00000000-0000-7000-8000-000000000000', 'c1-00000000').slice(0, -1);
          const took = await plainCopy(source.access, destination.access, `copy-${copies}/${folder}`, cipher);
          await destination.discard(`copy-${copies}`);
          return took;
        },
      );
      const ratios = a.map((run, index) => run / (b[index] ?? NaN));
      return [figureOf('crypt_ratio', ratios, { unit: '× rclone copy into crypt', limit: 1.15, better: 'lower' })];
    } finally {
      await installation.stop();
      await source.stop();
      await destination.stop();
    }
  },
};

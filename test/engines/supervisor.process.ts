import { startChild } from '../../src/engines/child.ts';

/** Starts one child that sleeps, says its number, and goes on living. Arguments: folder, silence in milliseconds. */
const [folder, silenceMs] = process.argv.slice(2) as [string, string];
const child = startChild({
  program: 'bash',
  args: ['-c', 'echo $$; exec sleep 600'],
  env: {},
  folder,
  silenceMs: Number(silenceMs),
});
child.stdout.on('data', (text: Buffer) =>
  process.stdout.write(`${JSON.stringify({ leash: child.record?.pid, child: Number(text.toString()) })}\n`),
);
void child.ended.then((end) => process.stdout.write(`${JSON.stringify(end)}\n`));

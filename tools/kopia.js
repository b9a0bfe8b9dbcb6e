import { join } from 'node:path';
import { go } from './go.js';
import { install } from './install.js';
import { binaryName, here, pins, root } from './place.js';
import { say } from './terminal.js';

/** @typedef {import('./place.js').Target} Target */

/**
 * Builds the kopia that tools/go.mod pins and tools/go.sum holds to its hashes. Without the web interface and the storage
 * providers that nothing here uses. Returns the path of the binary.
 *
 * @param {Target} [target]
 */
export function installKopia(target = here) {
  return install('kopia', target, async (temporary) => {
    const { version } = pins.kopia;
    say(`kopia ${version}: building from its Go module, which takes some minutes`);
    const binary = join(temporary, binaryName('kopia', target));
    const flags = `-s -w -X github.com/kopia/kopia/repo.BuildVersion=${version}`;
    await go(
      [
        ...['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-tags', 'nohtmlui no_extra_providers'],
        ...['-ldflags', flags, '-o', binary, 'github.com/kopia/kopia'],
      ],
      { cwd: join(root, 'tools'), target, what: `kopia ${version}`, doing: 'building' },
    );
    return binary;
  });
}

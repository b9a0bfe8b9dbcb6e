import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { toolPath, toolVersions, type ToolName } from '../../src/engines/tools.ts';
import { here, pins, placeOf } from '../../tools/place.js';

const names: ToolName[] = ['rclone', 'kopia', 'weed'];

afterEach(() => {
  delete process.env['E3_CLOUDBACKUP_TOOLS_DIR'];
});

describe('where tools are', () => {
  it('is the place where the installer puts them', () => {
    expect(toolPath('rclone')).toBe(placeOf('rclone', here).binary);
    expect(existsSync(toolPath('rclone'))).toBe(true);
  });

  it('can be another folder', () => {
    process.env['E3_CLOUDBACKUP_TOOLS_DIR'] = '/nowhere';
    expect(() => toolPath('rclone')).toThrow(
      expect.objectContaining({
        code: 'ERR_TOOL_MISSING',
        message: `rclone ${pins.rclone.version} is not installed. Run "npm run tools -- rclone".`,
      }),
    );
    expect(toolVersions(names)).toEqual(names.map((name) => ({ name, version: pins[name].version, installed: false })));
  });
});

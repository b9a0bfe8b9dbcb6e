import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './place.js';
import { say } from './terminal.js';

/**
 * package-lock.json must hold no addresses: whose registry or mirror somebody uses is not the next one's business, and an
 * address of it would break their install.
 */
const found = [...addresses(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')), [])];
for (const where of found) say(`package-lock.json holds an address: ${where}`);

const npmrc = readFileSync(join(root, '.npmrc'), 'utf8').split('\n');
const configured = npmrc.some((line) => /^\s*omit-lockfile-registry-resolved\s*=\s*true\s*$/.test(line));
if (!configured) say('.npmrc must say omit-lockfile-registry-resolved=true');
const foreign = npmrc.filter((line) => /registry\s*=\s*\S*:\/\/|_auth|:\/\//i.test(line));
for (const line of foreign) say(`.npmrc names a registry: ${line.split('=', 1)[0]}`);

if (found.length > 0 || !configured || foreign.length > 0) {
  say('Set "omit-lockfile-registry-resolved=true" in .npmrc, remove package-lock.json and run "npm install".');
  process.exitCode = 1;
}

/**
 * @param {unknown} value
 * @param {string[]} path
 * @returns {Generator<string>}
 */
function* addresses(value, path) {
  if (typeof value === 'string') {
    if (path.at(-1) === 'resolved' || /^(https?|git|ssh|file|git\+\w+):/.test(value)) yield path.join(' > ');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    // What authors say about themselves, not where a package comes from.
    if (key === 'funding' || key === 'deprecated') continue;
    yield* addresses(inner, [...path, key]);
  }
}

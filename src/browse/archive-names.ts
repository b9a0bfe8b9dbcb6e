/**
 * Names of files in a downloaded archive. An entry's path is relative and holds neither `..` nor control characters (the format refuses
 * them), but it may hold what Windows cannot write, or reads as something else: a backslash is a folder there.
 */

/** What Windows cannot have in a name, and the look-alikes that rclone writes there instead, so that it can turn them back. */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  '\\': '＼',
  ':': '：',
  '*': '＊',
  '?': '？',
  '"': '＂',
  '<': '＜',
  '>': '＞',
  '|': '｜',
};
const FORBIDDEN = /[\\:*?"<>|]/g;
/** Devices of Windows, whatever their extension. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)/i;

/** For tar: the name as it is, but for the backslash. */
export function unixName(path: string): string {
  return path.replaceAll('\\', '＼');
}

/** For zip: every part is a name that Windows takes. */
export function windowsName(path: string): string {
  return path.split('/').map(windowsPart).join('/');
}

function windowsPart(name: string): string {
  const safe = name
    .replace(FORBIDDEN, (character) => LOOK_ALIKES[character] ?? '_')
    .replace(/\.$/, '．')
    .replace(/ $/, '␠');
  return DEVICE.test(safe) ? safe.replace(DEVICE, '$&_') : safe;
}

/**
 * Gives names that differ in more than their case, as Windows and macOS want them: a second `Readme.txt` beside `README.TXT` becomes
 * `Readme (2).txt`. Remembers every name, so it is for archives of limited length.
 */
export class DistinctNames {
  readonly #files = new Set<string>();
  /** Of names that were taken before: the number to try next, so that many of one name cost no more than others. */
  readonly #numbers = new Map<string, number>();
  readonly #folders = new Set<string>();

  take(path: string): string {
    const slash = path.lastIndexOf('/') + 1;
    const folder = this.#folder(path.slice(0, slash));
    const name = path.slice(slash);
    const dot = name.lastIndexOf('.');
    const cut = dot > 0 ? dot : name.length;
    let given = folder + name;
    const wanted = keyOf(given);
    let number = this.#numbers.get(wanted) ?? 2;
    // A folder `A` may have come before a file `a`.
    for (; this.#files.has(keyOf(given)) || this.#folders.has(keyOf(given)); number += 1) {
      given = `${folder}${name.slice(0, cut)} (${number})${name.slice(cut)}`;
    }
    this.#numbers.set(wanted, number);
    this.#files.add(keyOf(given));
    return given;
  }

  /** Object stores may hold a file `a` and a file `a/b`: then the folder gets another name. */
  #folder(folder: string): string {
    let given = '';
    for (const part of folder.split('/').slice(0, -1)) {
      let name = part;
      while (this.#files.has(keyOf(given + name))) name += ' (folder)';
      this.#folders.add(keyOf(given + name));
      given += `${name}/`;
    }
    return given;
  }
}

function keyOf(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

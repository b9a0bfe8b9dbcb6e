import { keyOfPath, pathOfKey } from '../layout/encoding.ts';
import type { Entry } from '../layout/types.ts';

/** By which key a member of an archive is asked for as if it were an object; relative to the job's prefix. */
export function memberKey({ key, path }: Pick<Entry, 'key' | 'path'>): string {
  return `${key}/${keyOfPath(path)}`;
}

/** Archive and path of such a key; null: it is none. */
export function splitMemberKey(key: string): { readonly key: string; readonly path: string } | null {
  const match = /^(run_[^/]+\/[^/]+\/archive\.tar\.zst(?:\.\d+)?)\/(.+)$/s.exec(key);
  if (match === null) return null;
  return { key: match[1] as string, path: pathOfKey(match[2] as string) };
}

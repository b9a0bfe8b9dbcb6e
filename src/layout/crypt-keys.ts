import { z } from 'zod';
import { isUuid } from './keys.ts';
import { canonicalJson, sign, verifyMac, type MacKeys, type MacVerdict } from './mac.ts';

const Schema = z.strictObject({
  format: z.literal(1),
  job: z.string().refine(isUuid),
  keys: z
    .array(
      z.strictObject({
        key: z.string().refine(isUuid),
        version: z.int().positive(),
        value: z.string().regex(/^v2:[0-9a-f]{8}:[A-Za-z0-9+/]+={0,2}$/),
      }),
    )
    .length(1),
  key_id: z.string().regex(/^[0-9a-f]{8}$/),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/** The passwords of an encrypted job, wrapped by the envelope: of use to nobody without one of the configured secrets. */
export interface WrappedKeys {
  /** uuid that the envelope binds them to. */
  readonly key: string;
  /** From 1. */
  readonly version: number;
  /** `v2:<key id>:<base64>` */
  readonly value: string;
}

/** The bytes of `e3-keys.json`: canonical JSON, signed with the current secret. */
export function cryptKeysBytes(wrapped: WrappedKeys, job: string, keys: MacKeys): Buffer {
  const { key, version, value } = wrapped;
  const document = { format: 1 as const, job, keys: [{ key, version, value }] };
  return Buffer.from(canonicalJson(sign(document, job, keys)), 'utf8');
}

export type CryptKeysVerdict = Exclude<MacVerdict, 'valid'> | 'unreadable' | 'job';

/** What `e3-keys.json` holds, or why it is not to be believed. */
export function readCryptKeys(bytes: Buffer, job: string, keys: MacKeys): WrappedKeys | CryptKeysVerdict {
  const document = parse(bytes);
  if (document === null) return 'unreadable';
  if (document.job !== job) return 'job';
  const verdict = verifyMac(document, job, keys);
  if (verdict !== 'valid') return verdict;
  return document.keys[0] ?? 'unreadable';
}

function parse(bytes: Buffer): z.infer<typeof Schema> | null {
  try {
    const parsed = Schema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

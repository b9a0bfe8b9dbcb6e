import type { ErrorEntry } from './entry.ts';
import { apiErrors } from './codes/api.ts';
import { sourceErrors } from './codes/source.ts';
import { destinationErrors } from './codes/destination.ts';
import { runErrors } from './codes/runs.ts';
import { secretErrors } from './codes/secrets.ts';
import { setupErrors } from './codes/setup.ts';

export type { ErrorEntry } from './entry.ts';

/**
 * Every error code of this package, once. Codes of the API are bare; codes of runs and of set-up begin with `ERR_`.
 * docs/troubleshooting.md is generated from this list (`npm run docs:errors`), and a test holds the two together.
 */
const entries = {
  ...apiErrors,
  ...sourceErrors,
  ...destinationErrors,
  ...runErrors,
  ...secretErrors,
  ...setupErrors,
};

export type ErrorCode = keyof typeof entries;

export const catalogue: Readonly<Record<ErrorCode, ErrorEntry>> = entries;

/** True when a run that failed with this code may be tried again by itself. */
export function isTransient(code: ErrorCode): boolean {
  return catalogue[code].transient === true;
}

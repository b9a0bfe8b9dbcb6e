import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import type { AccessTokens } from './access-tokens.ts';
import { CloudApi } from './cloud-api.ts';
import type { CloudAnswer, CloudHttp } from './https.ts';

const API = 'https://www.googleapis.com/drive/v3';
const Refusal = z.object({ error: z.object({ errors: z.array(z.object({ reason: z.string() })).default([]) }) });

/** The Drive API v3. */
export class DriveApi {
  readonly #api: CloudApi;

  constructor(http: CloudHttp, tokens: AccessTokens, options: { attempts?: number } = {}) {
    this.#api = new CloudApi({ http, tokens, errorOf: driveError, attempts: options.attempts ?? 6 });
  }

  /** @throws BackupError `PATH_NOT_FOUND`, `ERR_RATE_LIMIT`, `ERR_PERMISSION`, `ERR_NETWORK` …, and as `CloudApi.ask` */
  async get(what: string, parameters: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<unknown> {
    const url = `${API}/${what}?${new URLSearchParams(parameters)}`;
    return await this.#api.ask({ method: 'GET', url, ...(signal === undefined ? {} : { signal }) });
  }
}

function driveError({ status, json }: CloudAnswer): BackupError {
  const refusal = Refusal.safeParse(json);
  const reason = refusal.success ? (refusal.data.error.errors[0]?.reason ?? '') : '';
  const cause = new Error(`Google Drive answered ${status} ${reason}`);
  if (status === 429 || /rateLimitExceeded/i.test(reason))
    return new BackupError('ERR_RATE_LIMIT', undefined, { cause });
  if (status === 404)
    return new BackupError('PATH_NOT_FOUND', 'This folder does not exist, or is not shared with this account.', {
      cause,
    });
  if (status === 401) return new BackupError('ERR_SOURCE_TOKEN', undefined, { cause });
  if (status === 403) return new BackupError('ERR_PERMISSION', undefined, { cause });
  if (status === 400) return new BackupError('INVALID_INPUT', undefined, { cause });
  return new BackupError('ERR_NETWORK', undefined, { cause });
}

import { setTimeout as delay } from 'node:timers/promises';
import type { BackupError } from '../../errors/backup-error.ts';
import { isTransient } from '../../errors/catalogue.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { CloudAnswer, CloudHttp, CloudRequest } from './https.ts';
import { bearer } from './providers.ts';

export interface CloudApiOptions {
  readonly http: CloudHttp;
  readonly tokens: AccessTokens;
  /** What an answer that is no success means. */
  readonly errorOf: (answer: CloudAnswer) => BackupError;
  /** How often a request is sent that the service puts off. */
  readonly attempts: number;
}

/**
 * Reading requests in the name of one connection. A service that asks to wait is waited for, as long as it says; a token that was given
 * up early is replaced once.
 */
export class CloudApi {
  readonly #options: CloudApiOptions;

  constructor(options: CloudApiOptions) {
    this.#options = options;
  }

  /** The parsed answer. @throws BackupError as `errorOf`, `CloudHttp.send`, `AccessTokens.current` */
  async ask(request: CloudRequest): Promise<unknown> {
    const { errorOf, attempts } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#send(request);
      if (answer.status === 200) return answer.json;
      const error = errorOf(answer);
      if (!isTransient(error.code) || attempt >= attempts) throw error;
      const { signal } = request;
      await delay(answer.retryAfterMs ?? 500 * 2 ** attempt, undefined, signal === undefined ? {} : { signal });
    }
  }

  async #send(request: CloudRequest, isRetry = false): Promise<CloudAnswer> {
    const { http, tokens } = this.#options;
    const { token } = await tokens.current();
    const answer = await http.send({ ...request, headers: { ...request.headers, ...bearer(token) } });
    if (answer.status !== 401 || isRetry) return answer;
    tokens.distrust();
    return await this.#send(request, true);
  }
}

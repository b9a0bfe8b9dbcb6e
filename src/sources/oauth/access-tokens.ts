import { setTimeout as delay } from 'node:timers/promises';
import { isBackupError } from '../../errors/backup-error.ts';
import type { CloudHttp } from './https.ts';
import type { OAuthClient } from './providers.ts';
import { refresh, type AccessToken } from './tokens.ts';

/** Where the refresh token of one connection is kept. */
export interface TokenShelf {
  /** As it is stored at this moment. @throws BackupError the provider's codes `lookup` and `token` */
  read(): Promise<StoredToken>;
  /** Stores what the provider gave instead. False: somebody stored another one meanwhile, which stays. */
  replace(before: StoredToken, refreshToken: string): Promise<boolean>;
  /** The provider refuses this token: the connection needs its owner. Nothing happens when another one is stored by now. */
  refused(token: StoredToken): Promise<void>;
  /** It works (again). */
  accepted(token: StoredToken): Promise<void>;
}

export interface StoredToken {
  readonly refreshToken: string;
  /** What stands in the row, to tell whether it was replaced. */
  readonly sealed: string;
}

export interface AccessTokenOptions {
  readonly http: CloudHttp;
  readonly client: OAuthClient;
  readonly shelf: TokenShelf;
  /** Epoch milliseconds. */
  readonly clock: () => number;
}

/** A token that ends sooner is not given out any more. */
const MARGIN_MS = 2 * 60_000;
/** A process that was given a new refresh token has stored it by then. */
const STORING_MS = 1_000;
/** So long a token is taken for good without asking. */
const PROVEN_MS = 60_000;

/**
 * The access token of one connection, for everybody in this process who reads by it. Rotated refresh tokens are stored before the access
 * token that came with them is used. A token that the provider has given up before its time is found by asking, and replaced.
 */
export class AccessTokens {
  readonly #options: AccessTokenOptions;
  #current: (AccessToken & { readonly provenAt: number }) | null = null;
  #pending: Promise<AccessToken> | null = null;
  /** Could not be stored yet: without it the connection is lost. */
  #unsaved: { readonly before: StoredToken; readonly refreshToken: string } | null = null;

  constructor(options: AccessTokenOptions) {
    this.#options = options;
  }

  /** A token that is good now. @throws BackupError as `refresh` and `TokenShelf.read` */
  async current(): Promise<AccessToken> {
    this.#pending ??= this.#find().finally(() => (this.#pending = null));
    return await this.#pending;
  }

  /** The provider did not take the current token: the next one will be another. */
  distrust(): void {
    this.#current = null;
  }

  async #find(): Promise<AccessToken> {
    const { clock, client, http } = this.#options;
    const known = this.#current;
    if (known !== null && known.expiresAt - clock() > MARGIN_MS) {
      if (clock() - known.provenAt < PROVEN_MS) return known;
      const { status } = await client.provider.account(http, known.token).catch(() => ({ status: 0 }));
      if (status !== 401) {
        // No answer says nothing about the token.
        if (status === 200) this.#current = { ...known, provenAt: clock() };
        return known;
      }
    }
    this.#current = null;
    return await this.#refresh();
  }

  async #refresh(): Promise<AccessToken> {
    await this.#save();
    const { shelf } = this.#options;
    const stored = await shelf.read();
    try {
      return await this.#refreshBy(stored);
    } catch (error) {
      if (!isBackupError(error, this.#options.client.provider.codes.refused)) throw error;
      // Another process may have been given a new one since it was read, and be about to store it.
      await delay(STORING_MS);
      const again = await shelf.read();
      if (again.refreshToken !== stored.refreshToken) return await this.#refreshBy(again);
      await shelf.refused(stored);
      throw error;
    }
  }

  async #refreshBy(stored: StoredToken): Promise<AccessToken> {
    const { http, client, clock, shelf } = this.#options;
    const granted = await refresh(http, client, stored.refreshToken, clock);
    if (granted.refreshToken !== null && granted.refreshToken !== stored.refreshToken) {
      this.#unsaved = { before: stored, refreshToken: granted.refreshToken };
      await this.#save();
    } else await shelf.accepted(stored);
    this.#current = { token: granted.token, expiresAt: granted.expiresAt, provenAt: clock() };
    return this.#current;
  }

  async #save(): Promise<void> {
    if (this.#unsaved === null) return;
    const { shelf } = this.#options;
    const { before, refreshToken } = this.#unsaved;
    if (!(await shelf.replace(before, refreshToken))) {
      // The same token may only have been sealed with another key meanwhile; whatever else is there is newer than ours.
      const now = await shelf.read();
      if (now.refreshToken === before.refreshToken) await shelf.replace(now, refreshToken);
    }
    this.#unsaved = null;
  }
}

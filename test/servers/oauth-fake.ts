import { createHash, randomBytes } from 'node:crypto';
import type { CloudReply, CloudRequest } from './cloud-fake.ts';

interface Code {
  readonly challenge: string | null;
  readonly redirectUri: string;
  readonly scope: string;
}

/** The authorization server of one provider: codes, refreshing, rotation, refusal, revocation. */
export class OAuthFake {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Refresh tokens that are good. */
  readonly refreshTokens = new Set<string>();
  /** Access tokens that are good, until when (epoch milliseconds). */
  readonly accessTokens = new Map<string, number>();
  readonly codes = new Map<string, Code>();
  readonly revoked: string[] = [];
  /** Answers to refreshing so far. */
  refreshes = 0;
  /** Seconds that an access token lives. */
  expiresIn = 3_599;
  /** Each refresh hands out another refresh token, and the one before is void. */
  rotates = false;
  /** What a refresh is answered with instead. */
  refusal: { status: number; error: string } | null = null;
  /** What the consent page grants; null: what was asked for. */
  grants: string | null = null;
  /** Consent without a refresh token, as Google does for an account that consented before. */
  withoutRefreshToken = false;

  constructor(clientId: string, clientSecret: string) {
    this.clientId = clientId;
    this.clientSecret = clientSecret;
  }

  /** A customer's standing consent. */
  issueRefreshToken(): string {
    const token = `refresh-${randomBytes(8).toString('hex')}`;
    this.refreshTokens.add(token);
    return token;
  }

  /** The customer takes the consent back, in the provider's own settings. */
  revokeAll(): void {
    this.refreshTokens.clear();
    this.accessTokens.clear();
  }

  /** Access tokens go bad before their time; refreshing still works. */
  spoilAccessTokens(): void {
    this.accessTokens.clear();
  }

  /** What the consent page does: takes the address that the portal sent the browser to, and says where the browser goes next. */
  consent(address: string): URL {
    const asked = new URL(address).searchParams;
    const code = `code-${randomBytes(8).toString('hex')}`;
    const redirectUri = asked.get('redirect_uri') ?? '';
    this.codes.set(code, {
      challenge: asked.get('code_challenge'),
      redirectUri,
      scope: this.grants ?? asked.get('scope') ?? '',
    });
    const back = new URL(redirectUri);
    back.searchParams.set('state', asked.get('state') ?? '');
    back.searchParams.set('code', code);
    return back;
  }

  isGood(request: CloudRequest): boolean {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    return (this.accessTokens.get(token) ?? 0) > Date.now();
  }

  token(request: CloudRequest): CloudReply {
    const form = new URLSearchParams(request.body);
    const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const [id, secret] = basic
      ? Buffer.from(basic, 'base64').toString().split(':').map(decodeURIComponent)
      : [form.get('client_id'), form.get('client_secret')];
    if (id !== this.clientId || secret !== this.clientSecret) return refused(401, 'invalid_client');
    return form.get('grant_type') === 'authorization_code' ? this.#exchange(form) : this.#refresh(form);
  }

  revoke(token: string): CloudReply {
    this.revoked.push(token);
    const known = this.refreshTokens.delete(token) || this.accessTokens.delete(token);
    return known ? { body: {} } : refused(400, 'invalid_token');
  }

  #exchange(form: URLSearchParams): CloudReply {
    const code = this.codes.get(form.get('code') ?? '');
    this.codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (code === undefined || code.redirectUri !== form.get('redirect_uri') || code.challenge !== challenge)
      return refused(400, 'invalid_grant');
    const refresh = this.withoutRefreshToken ? {} : { refresh_token: this.issueRefreshToken() };
    return { body: { ...this.#accessToken(), ...refresh, scope: code.scope } };
  }

  #refresh(form: URLSearchParams): CloudReply {
    this.refreshes += 1;
    if (this.refusal !== null) return refused(this.refusal.status, this.refusal.error);
    const given = form.get('refresh_token') ?? '';
    if (!this.refreshTokens.has(given)) return refused(400, 'invalid_grant');
    if (!this.rotates) return { body: this.#accessToken() };
    this.refreshTokens.delete(given);
    return { body: { ...this.#accessToken(), refresh_token: this.issueRefreshToken() } };
  }

  #accessToken(): Record<string, unknown> {
    const token = `access-${randomBytes(8).toString('hex')}`;
    this.accessTokens.set(token, Date.now() + this.expiresIn * 1_000);
    return { access_token: token, token_type: 'Bearer', expires_in: this.expiresIn };
  }
}

function refused(status: number, error: string): CloudReply {
  return { status, body: { error, error_description: 'as the test wants it' } };
}

import { connect, type Socket } from 'node:net';
import ssh2, { type ClientChannel } from 'ssh2';
import { BackupError } from '../errors/backup-error.ts';
import { hostKeyAlgorithms } from './host-key.ts';
import {
  FieldReader,
  initPacket,
  PACKET,
  PacketReader,
  requestPacket,
  STATUS,
  type Attributes,
  type NamedAttributes,
} from './sftp-protocol.ts';
import { hostKeyRefused, sshError } from './ssh-errors.ts';
import type { SftpOrigin } from './source-type.ts';

export interface SessionOptions {
  /** The pinned key: the session is refused when the server shows another one. */
  readonly hostKey: string;
  readonly signal: AbortSignal;
  /** For connection, handshake and sign-in. Default 30 s. */
  readonly readyTimeoutMs?: number;
  /** Without any answer while one is awaited. Default 2 minutes. */
  readonly answerTimeoutMs?: number;
}

/** The server answered, but with a refusal of this one request. */
export class SftpRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'SftpRefusal';
    this.status = status;
  }

  get isMissing(): boolean {
    return this.status === STATUS.noSuchFile;
  }

  get isPermission(): boolean {
    return this.status === STATUS.permissionDenied;
  }
}

interface Waiting {
  readonly resolve: (packet: { type: number; fields: FieldReader }) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Reads folders of one SFTP server over one connection; requests go out without waiting for each other. A request that the server
 * refuses throws SftpRefusal; whatever ends the session (also its signal) rejects all requests under way with a BackupError.
 */
export class SftpSession {
  readonly #client: ssh2.Client;
  readonly #channel: ClientChannel;
  readonly #waiting = new Map<number, Waiting>();
  readonly #packets = new PacketReader();
  readonly #answerTimeoutMs: number;
  #nextId = 1;
  #failure: unknown = null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(client: ssh2.Client, channel: ClientChannel, options: SessionOptions) {
    this.#client = client;
    this.#channel = channel;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 120_000;
    channel.on('data', (chunk: Buffer) => this.#receive(chunk));
    channel.on('close', () => this.#end(new BackupError('ERR_NETWORK')));
    channel.stderr.resume();
    client.on('error', (error) => this.#end(sshError(error)));
    client.on('close', () => this.#end(new BackupError('ERR_NETWORK')));
    options.signal.addEventListener('abort', () => this.#end(options.signal.reason), { once: true });
  }

  /** @throws BackupError `ERR_HOST_UNKNOWN`, `ERR_CONNECTION_REFUSED`, `ERR_NETWORK`, `ERR_SFTP_AUTH`, `ERR_SFTP_HOST_KEY_CHANGED` */
  static async open(origin: SftpOrigin, options: SessionOptions): Promise<SftpSession> {
    options.signal.throwIfAborted();
    const { client, socket } = await signIn(origin, options);
    try {
      const channel = await new Promise<ClientChannel>((resolve, reject) =>
        client.subsys('sftp', (error, opened) => (error ? reject(sshError(error)) : resolve(opened))),
      );
      const session = new SftpSession(client, channel, options);
      await session.#greet();
      return session;
    } catch (error) {
      client.destroy();
      socket.destroy();
      throw options.signal.aborted ? options.signal.reason : error;
    }
  }

  /** The absolute path; OpenSSH also resolves every link in it. */
  async realPath(path: Buffer): Promise<Buffer> {
    const fields = await this.#request(PACKET.realPath, [path], PACKET.name);
    if (fields.uint32() < 1) throw new SftpRefusal(STATUS.noSuchFile, 'no real path');
    return Buffer.from(fields.string());
  }

  /** Follows links. */
  async stat(path: Buffer): Promise<Attributes> {
    return (await this.#request(PACKET.stat, [path], PACKET.attributes)).attributes();
  }

  /** Of the link itself. */
  async lstat(path: Buffer): Promise<Attributes> {
    return (await this.#request(PACKET.lstat, [path], PACKET.attributes)).attributes();
  }

  /** What lies in a folder, in the portions of the server, without `.` and `..`. */
  async *readFolder(path: Buffer): AsyncGenerator<NamedAttributes[]> {
    const handle = Buffer.from((await this.#request(PACKET.openDir, [path], PACKET.handle)).string());
    try {
      for (;;) {
        const portion = await this.#readPortion(handle);
        if (portion === null) return;
        yield portion;
      }
    } finally {
      // Nobody waits for it, and a server that refuses to close a handle has no more to say.
      this.#request(PACKET.close, [handle], PACKET.status).catch(() => undefined);
    }
  }

  close(): void {
    this.#end(new BackupError('ERR_NETWORK', 'The session was closed.'));
  }

  async #readPortion(handle: Buffer): Promise<NamedAttributes[] | null> {
    let fields: FieldReader;
    try {
      fields = await this.#request(PACKET.readDir, [handle], PACKET.name);
    } catch (error) {
      if (error instanceof SftpRefusal && error.status === STATUS.endOfFile) return null;
      throw error;
    }
    const portion: NamedAttributes[] = [];
    for (let count = fields.uint32(); count > 0; count -= 1) {
      const name = Buffer.from(fields.string());
      fields.string(); // What `ls -l` would print.
      const attributes = fields.attributes();
      if (!isDotName(name)) portion.push({ name, ...attributes });
    }
    return portion;
  }

  async #greet(): Promise<void> {
    const version = this.#answerTo(0);
    this.#channel.write(initPacket());
    const { type } = await version;
    if (type !== PACKET.version) throw new BackupError('ERR_NETWORK', 'The server does not speak SFTP.');
  }

  async #request(type: number, fields: readonly Buffer[], expected: number): Promise<FieldReader> {
    const id = this.#nextId;
    this.#nextId = id === 0xffffffff ? 1 : id + 1;
    const answer = this.#answerTo(id);
    this.#channel.write(requestPacket(type, id, fields));
    const packet = await answer;
    if (packet.type === expected && expected !== PACKET.status) return packet.fields;
    if (packet.type !== PACKET.status)
      throw new BackupError('ERR_NETWORK', 'The server gave an answer that does not fit.');
    const status = packet.fields.uint32();
    if (status === STATUS.ok && expected === PACKET.status) return packet.fields;
    throw new SftpRefusal(status, packet.fields.string().toString('utf8'));
  }

  #answerTo(id: number): Promise<{ type: number; fields: FieldReader }> {
    if (this.#failure !== null) return Promise.reject(this.#failure as Error);
    this.#timer ??= this.#watchdog();
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #receive(chunk: Buffer): void {
    try {
      for (const packet of this.#packets.push(chunk)) this.#dispatch(packet);
    } catch (cause) {
      this.#end(new BackupError('ERR_NETWORK', 'The server does not speak SFTP.', { cause }));
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#waiting.size > 0 ? this.#watchdog() : null;
  }

  #dispatch(packet: Buffer): void {
    const fields = new FieldReader(packet);
    const type = fields.byte();
    // The answer to the greeting has a version where others have the number of their request.
    const id = type === PACKET.version ? 0 : fields.uint32();
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve({ type, fields });
  }

  #watchdog(): NodeJS.Timeout {
    return setTimeout(
      () => this.#end(new BackupError('ERR_NETWORK', 'The server fell silent.')),
      this.#answerTimeoutMs,
    );
  }

  #end(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.#client.destroy();
  }
}

function isDotName(name: Buffer): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

async function signIn(origin: SftpOrigin, options: SessionOptions): Promise<{ client: ssh2.Client; socket: Socket }> {
  const client = new ssh2.Client();
  const socket = connect({ host: origin.host, port: origin.port, noDelay: true });
  const pinned = Buffer.from(options.hostKey.split(' ')[1] ?? '', 'base64');
  const shown: { key: Buffer | null } = { key: null };
  let onAbort = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = (): void => reject(options.signal.reason as Error);
      options.signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', (error) => reject(sshError(error)));
      client.once('ready', resolve);
      client.once('error', (error) => reject(hostKeyRefused(error, options.hostKey, shown.key) ?? sshError(error)));
      client.once('close', () => reject(new BackupError('ERR_NETWORK')));
      client.on('keyboard-interactive', (_name, _instructions, _language, prompts, answer) =>
        answer(prompts.map(() => origin.pass ?? '')),
      );
      client.connect({
        sock: socket,
        username: origin.user,
        ...(origin.pass === null ? {} : { password: origin.pass, tryKeyboard: true }),
        ...(origin.key === null ? {} : { privateKey: origin.key.pem }),
        ...(origin.key === null || origin.key.passphrase === null ? {} : { passphrase: origin.key.passphrase }),
        readyTimeout: options.readyTimeoutMs ?? 30_000,
        keepaliveInterval: 15_000,
        keepaliveCountMax: 4,
        algorithms: { serverHostKey: hostKeyAlgorithms(options.hostKey) },
        hostVerifier: (key: Buffer) => {
          shown.key = Buffer.from(key);
          return key.equals(pinned);
        },
      });
    });
    return { client, socket };
  } catch (error) {
    client.on('error', () => undefined);
    client.destroy();
    socket.destroy();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}

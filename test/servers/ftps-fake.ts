import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';

export interface FtpsFake {
  readonly port: number;
  /** Commands as they came, passwords among them, and whether they were encrypted. */
  readonly seen: { readonly command: string; readonly secure: boolean }[];
  close(): void;
}

/**
 * So much of an FTP server with TLS (RFC 4217) as a listing and a download need: `rclone serve ftp` does not speak the explicit form, and
 * refuses its own client in the implicit one. One folder of files.
 */
export async function startFtpsFake(options: {
  files: Readonly<Record<string, string>>;
  password: string;
  cert: string;
  key: string;
  implicit?: boolean;
  /** What it claims of files, where that is not their length. */
  sizes?: Readonly<Record<string, number>>;
  /** Has no room for a file. */
  full?: boolean;
  /** Answers a command by itself; null: as usual. */
  refuse?: (verb: string, argument: string) => string | null;
}): Promise<FtpsFake> {
  const context = createSecureContext(options);
  const seen: FtpsFake['seen'] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => socket.destroy()));
    const session = new Session(options, context, seen);
    session.attach(options.implicit ? secured(socket, context) : socket, options.implicit ?? false);
    session.say('220 ready');
  });
  await listening(server);
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function secured(socket: Socket, secureContext: SecureContext): TLSSocket {
  return new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => socket.destroy());
}

async function listening(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

interface Content {
  readonly files: Readonly<Record<string, string>>;
  readonly password: string;
  readonly sizes?: Readonly<Record<string, number>>;
  readonly full?: boolean;
  readonly refuse?: (verb: string, argument: string) => string | null;
}

class Session {
  readonly #options: Content;
  readonly #context: SecureContext;
  readonly #seen: FtpsFake['seen'];
  #control: Socket | null = null;
  #secure = false;
  #data: Promise<Socket> | null = null;

  constructor(options: Content, context: SecureContext, seen: FtpsFake['seen']) {
    this.#options = options;
    this.#context = context;
    this.#seen = seen;
  }

  attach(control: Socket, secure: boolean): void {
    this.#control = control;
    this.#secure = secure;
    let text = '';
    control.on('data', (part: Buffer) => {
      text += part.toString();
      for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
        const command = text.slice(0, end);
        text = text.slice(end + 2);
        this.#seen.push({ command, secure: this.#secure });
        void this.#answer(command);
      }
    });
  }

  say(line: string): void {
    this.#control?.write(`${line}\r\n`);
  }

  async #answer(command: string): Promise<void> {
    const [verb = '', ...rest] = command.split(' ');
    const argument = rest.join(' ').replace(/^\/+/, '');
    const file = this.#options.files[argument];
    const refusal = this.#options.refuse?.(verb.toUpperCase(), argument) ?? null;
    if (refusal !== null) return this.say(refusal);
    switch (verb.toUpperCase()) {
      case 'AUTH':
        return this.#startTls();
      case 'FEAT':
        return this.say('211-Features\r\n MLST type*;size*;modify*;\r\n UTF8\r\n EPSV\r\n AUTH TLS\r\n211 End');
      case 'USER':
        return this.say('331 password');
      case 'PASS':
        return this.say(argument === this.#options.password ? '230 in' : '530 Login incorrect');
      case 'EPSV':
        return await this.#passive();
      case 'MLST':
        return this.say(
          file === undefined ? '550 nothing' : `250-\r\n ${this.#facts(argument, file)} ${argument}\r\n250 End`,
        );
      case 'MLSD':
        return await this.#send(
          Object.entries(this.#options.files)
            .map(([name, content]) => `${this.#facts(name, content)} ${name}\r\n`)
            .join(''),
        );
      case 'RETR':
        return file === undefined ? this.say('550 nothing') : await this.#send(file);
      case 'STOR':
        return this.say(this.#options.full ? '552 no room left' : '553 read only');
      case 'PWD':
        return this.say('257 "/"');
      default:
        return this.say('200 ok');
    }
  }

  #facts(name: string, content: string): string {
    return `type=file;size=${this.#options.sizes?.[name] ?? Buffer.byteLength(content)};modify=20260101000000;`;
  }

  #startTls(): void {
    const plain = this.#control;
    if (plain === null) return;
    this.say('234 go on');
    plain.removeAllListeners('data');
    this.attach(secured(plain, this.#context), true);
  }

  async #passive(): Promise<void> {
    const server = createServer();
    await listening(server);
    this.#data = new Promise((resolve) =>
      server.once('connection', (socket) => {
        server.close();
        resolve(secured(socket, this.#context));
      }),
    );
    this.say(`229 Entering Extended Passive Mode (|||${(server.address() as AddressInfo).port}|)`);
  }

  async #send(content: string): Promise<void> {
    this.say('150 coming');
    const data = await this.#data;
    data?.end(content);
    if (data) await once(data, 'close').catch(() => undefined);
    this.say('226 done');
  }
}

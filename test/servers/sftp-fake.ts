import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import ssh2, { type SFTPWrapper } from 'ssh2';

/** What the server says of a name: a folder, or a file of so many bytes. */
export type FakeEntry = 'folder' | number;
export type FakePortion = Readonly<Record<string, FakeEntry>>;

export interface SftpFake {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  close(): void;
}

const { STATUS_CODE } = ssh2.utils.sftp;
const [FOLDER, FILE] = [0o040_755, 0o100_644];

/**
 * An SFTP server that lies as a test wants it to.
 * @param options.portion the `index`th answer to who reads a folder (absolute path); null: it was read to its end
 * @param options.entry what it says of a single path; null: nothing is there
 * @param options.refuses whether a folder or file may not be opened
 */
export async function startSftpFake(options: {
  portion: (path: string, index: number) => FakePortion | null;
  entry: (path: string) => FakeEntry | null;
  content?: (path: string) => string;
  refuses?: (path: string) => boolean;
}): Promise<SftpFake> {
  const key = ssh2.utils.generateKeyPairSync('ed25519');
  const [user, password] = ['fake-user', 'fake-password'];
  const server = new ssh2.Server({ hostKeys: [key.private] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method === 'password' && context.password === password) context.accept();
      else context.reject(['password']);
    });
    client.on('session', (accept) => {
      accept().on('sftp', (begin) => answer(begin(), options));
    });
  });
  const sockets = new Set<Socket>();
  // Answers are small and wait for each other: they must not be held back to be sent together.
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    server.injectSocket(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    user,
    password,
    hostKey: key.public.split(' ').slice(0, 2).join(' '),
    close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}

function attributesOf(entry: FakeEntry): Parameters<SFTPWrapper['attrs']>[1] {
  const time = 1_700_000_000;
  const isFolder = entry === 'folder';
  return { mode: isFolder ? FOLDER : FILE, size: isFolder ? 0 : entry, uid: 0, gid: 0, atime: time, mtime: time };
}

function answer(sftp: SFTPWrapper, options: Parameters<typeof startSftpFake>[0]): void {
  const handles: { path: string; portions: number }[] = [];
  const handleOf = (handle: Buffer) => handles[handle.readUInt32BE(0)];
  const open = (id: number, path: string): void => {
    if (options.refuses?.(path) === true) return sftp.status(id, STATUS_CODE.PERMISSION_DENIED) as unknown as void;
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(handles.push({ path, portions: 0 }) - 1);
    sftp.handle(id, handle);
  };
  const say = (id: number, path: string): void => {
    const entry = options.entry(path);
    if (entry === null) sftp.status(id, STATUS_CODE.NO_SUCH_FILE);
    else sftp.attrs(id, attributesOf(entry));
  };
  // Whoever has said all waits for the server to close the channel.
  sftp.on('end', () => sftp.end());
  sftp.on('REALPATH', (id, path) => {
    const filename = path === '.' ? '/' : path;
    sftp.name(id, [{ filename, longname: filename, attrs: attributesOf('folder') }]);
  });
  for (const event of ['STAT', 'LSTAT'] as const) sftp.on(event, say);
  sftp.on('OPENDIR', (id, path) => open(id, path));
  sftp.on('OPEN', (id, path) => open(id, path));
  sftp.on('FSTAT', (id, handle) => say(id, handleOf(handle)?.path ?? ''));
  sftp.on('CLOSE', (id) => sftp.status(id, STATUS_CODE.OK));
  sftp.on('READDIR', (id, handle) => {
    const one = handleOf(handle);
    const portion = one === undefined ? null : options.portion(one.path, one.portions);
    if (one === undefined || portion === null) return sftp.status(id, STATUS_CODE.EOF);
    one.portions += 1;
    const names = Object.entries(portion);
    return sftp.name(
      id,
      names.map(([filename, entry]) => ({ filename, longname: filename, attrs: attributesOf(entry) })),
    );
  });
  sftp.on('READ', (id, handle, offset, length) => {
    const content = Buffer.from(options.content?.(handleOf(handle)?.path ?? '') ?? '');
    if (offset >= content.length) sftp.status(id, STATUS_CODE.EOF);
    else sftp.data(id, content.subarray(offset, offset + length));
  });
}

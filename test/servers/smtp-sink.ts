import { createServer, type AddressInfo } from 'node:net';

export interface SmtpSink {
  readonly url: string;
  /** Whole messages as they came, with headers. */
  readonly messages: string[];
  /** Answers to `RCPT TO`: 250 takes the mail. */
  answer: string;
  stop(): Promise<void>;
}

/** The least of RFC 5321 that takes messages, or refuses their recipients. */
export async function startSmtpSink(): Promise<SmtpSink> {
  const messages: string[] = [];
  const sink = { answer: '250 ok' };
  const server = createServer((socket) => {
    let rest = '';
    let message: string[] | null = null;
    socket.write('220 sink\r\n');
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString('utf8')).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (message !== null) {
          if (line !== '.') message.push(line);
          else {
            messages.push(message.join('\n'));
            message = null;
            socket.write('250 taken\r\n');
          }
        } else if (line === 'DATA') {
          message = [];
          socket.write('354 go on\r\n');
        } else if (line === 'QUIT') socket.end('221 bye\r\n');
        else socket.write(line.startsWith('RCPT') ? `${sink.answer}\r\n` : '250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(sink, {
    url: `smtp://127.0.0.1:${port}`,
    messages,
    stop: async () => await new Promise<void>((resolve) => server.close(() => resolve())),
  });
}

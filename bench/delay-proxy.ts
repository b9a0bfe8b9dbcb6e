import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * A server that is far away: a TCP proxy that holds everything back for some milliseconds, in each direction. It is a process of its
 * own, so that its work is nobody else's. Opening a connection costs no round trip, which favours whoever opens many.
 *
 * Started by `fork` with the target's port; says `{port}`, and takes `{delayMs}` (at first 0, the distance while things are set up).
 */
const targetPort = Number(process.argv[2]);
/** Bytes on their way in one direction of one connection: far more than fit into the delay on any network that is measured here. */
const MOST_UNDERWAY = 16 << 20;
let delayMs = 0;

process.on('message', (message: { delayMs: number }) => {
  delayMs = message.delayMs;
  process.send?.({ delayMs });
});
process.on('disconnect', () => process.exit(0));

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  carry(near, far);
  carry(far, near);
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

/** Passes on what one side says, later; null stands for the end of it. */
function carry(from: Socket, to: Socket): void {
  const underway: { due: number; bytes: Buffer | null }[] = [];
  let bytesUnderway = 0;
  let timer: NodeJS.Timeout | null = null;
  /** The other side takes nothing more for the moment. */
  let isFull = false;

  const send = (bytes: Buffer | null): void => {
    underway.push({ due: performance.now() + delayMs, bytes });
    bytesUnderway += bytes?.length ?? 0;
    if (bytesUnderway > MOST_UNDERWAY) from.pause();
    if (timer === null && !isFull) wait();
  };
  const wait = (): void => {
    const first = underway[0];
    if (first === undefined) return;
    timer = setTimeout(deliver, Math.max(0, first.due - performance.now()));
  };
  const deliver = (): void => {
    timer = null;
    // Timers count whole milliseconds: what is due within the half of one is due.
    for (const now = performance.now() + 0.5; underway[0] !== undefined && underway[0].due <= now;) {
      const { bytes } = underway.shift() as { bytes: Buffer | null };
      if (bytes === null) to.end();
      else if (to.writable) to.write(bytes);
      bytesUnderway -= bytes?.length ?? 0;
    }
    isFull = to.writableNeedDrain;
    if (isFull) to.once('drain', resume);
    else resume();
  };
  const resume = (): void => {
    isFull = false;
    if (bytesUnderway <= MOST_UNDERWAY) from.resume();
    if (timer === null) wait();
  };

  from.on('data', send);
  from.on('end', () => send(null));
  from.on('error', () => undefined);
  // A connection that broke takes the other half with it; one that ended in order has said so before.
  from.on('close', (broken) => (broken ? to.destroy() : undefined));
}

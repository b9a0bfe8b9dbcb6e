/**
 * Gives a buffer's memory back at once; it is empty afterwards. Only for buffers that share theirs with no other one. Left to the collector, which
 * does not mind tens of megabytes of them, they would be most of what a run takes.
 */
export function giveBack({ buffer }: Buffer): void {
  // What Node cuts small buffers from belongs to many.
  if (buffer.byteLength > Buffer.poolSize && 'transfer' in buffer) buffer.transfer(0);
}

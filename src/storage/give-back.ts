/**
 * Gives a buffer's memory back at once; it is empty afterwards. Only for buffers that share theirs with none that is still used. Left to the
 * collector, which does not mind tens of megabytes of them, they would be most of what a run takes.
 */
export function giveBack({ buffer, length }: Buffer): void {
  // What Node cuts small buffers from belongs to many; none of them takes all of it.
  const isOwn = length === buffer.byteLength || buffer.byteLength > Buffer.poolSize;
  if (isOwn && buffer.byteLength > 0 && 'transfer' in buffer) buffer.transfer(0);
}

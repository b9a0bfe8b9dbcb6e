/** Results of `work` in the order of the items, up to `limit` at once; memory holds no more than those. Throws the first error. */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      // It is thrown when its turn comes.
      result.catch(() => undefined);
      pending.push(result);
      if (pending.length >= limit) yield await (pending.shift() as Promise<R>);
    }
    while (pending.length > 0) yield await (pending.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(pending);
  }
}

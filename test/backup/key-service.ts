import type { ObjectStore } from '../../src/storage/port.ts';

/**
 * The bucket as one looks whose objects are encrypted with a key of the store's key service: its ETags look like MD5 sums and are others, which
 * only the answer for a single object tells.
 */
export function byKeyService(store: ObjectStore): ObjectStore {
  const list: ObjectStore['list'] = async function* (prefix, options) {
    for await (const object of store.list(prefix, options)) yield { ...object, md5: 'a'.repeat(32) };
  };
  const head: ObjectStore['head'] = async (key, options) => {
    const found = await store.head(key, options);
    return found === null ? null : { ...found, md5: null };
  };
  return new Proxy<ObjectStore>(store, {
    get(_, name) {
      const method: unknown = Reflect.get({ list, head }, name) ?? Reflect.get(store, name, store);
      return typeof method === 'function' ? (method.bind(store) as unknown) : method;
    },
  });
}

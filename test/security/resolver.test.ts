import { describe, expect, it } from '@jest/globals';
import { systemResolver } from '../../src/security/resolver.ts';

/** Names are answered when the test says so. */
function slowDns() {
  const asked: string[] = [];
  const answers = new Map<string, (addresses: string[]) => void>();
  const find = (host: string): Promise<string[]> => {
    asked.push(host);
    return new Promise((resolve) => answers.set(host, resolve));
  };
  return { asked, find, answer: (host: string) => answers.get(host)?.([host]) };
}

describe('the system’s resolver', () => {
  it('is asked for so many names at once, and once for a name that several ask for', async () => {
    const dns = slowDns();
    const resolve = systemResolver({ find: dns.find, atOnce: 2, patienceMs: 60_000 });
    const all = ['a', 'b', 'a', 'c', 'c'].map((host) => resolve(host));
    expect(dns.asked).toEqual(['a', 'b']);
    dns.answer('b');
    expect(await all[1]).toEqual(['b']);
    expect(dns.asked).toEqual(['a', 'b', 'c']);
    for (const host of ['a', 'c']) dns.answer(host);
    expect(await Promise.all(all)).toEqual([['a'], ['b'], ['a'], ['c'], ['c']]);
  });

  it('keeps nobody waiting for names that are never answered', async () => {
    const dns = slowDns();
    const resolve = systemResolver({ find: dns.find, atOnce: 1, patienceMs: 20 });
    await expect(resolve('a')).rejects.toThrow('no answer about a in time');
    await expect(resolve('b')).rejects.toThrow('no answer about b in time');
    // The thread is still taken: nothing else was begun, and what was given up does not come back.
    expect(dns.asked).toEqual(['a']);
    const third = resolve('c');
    dns.answer('a');
    await third.catch(() => undefined);
    expect(dns.asked).not.toContain('b');
  });

  it('passes on what is wrong, and goes on', async () => {
    const resolve = systemResolver({
      find: async (host) => await (host === 'bad' ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve([host])),
      atOnce: 1,
    });
    const [bad, good] = await Promise.allSettled([resolve('bad'), resolve('good')]);
    expect(bad).toMatchObject({ status: 'rejected' });
    expect(good).toEqual({ status: 'fulfilled', value: ['good'] });
    expect(await resolve('localhost-like')).toEqual(['localhost-like']);
  });
});

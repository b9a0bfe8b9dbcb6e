import { lookup } from 'node:dns/promises';
import type { Resolver } from './egress.ts';

/**
 * The system's resolver works in threads of which a process has four, for files and hashes too: names whose servers never answer would
 * take them all, and stop everything else.
 */
const LOOKUPS_AT_ONCE = 2;
/** How long somebody waits for a turn and for the answer. */
const PATIENCE_MS = 10_000;

interface Waiting {
  begin(): void;
}

/**
 * getaddrinfo: the same answer that the transfer program gets, /etc/hosts included. So many names at once; whoever asks for one that is
 * being looked up gets the same answer.
 * @throws Error also when it takes too long
 */
export function systemResolver(
  options: {
    readonly find?: (host: string) => Promise<readonly string[]>;
    readonly atOnce?: number;
    readonly patienceMs?: number;
  } = {},
): Resolver {
  const { find = bySystem, atOnce = LOOKUPS_AT_ONCE, patienceMs = PATIENCE_MS } = options;
  const underWay = new Map<string, Promise<readonly string[]>>();
  const waiting = new Set<Waiting>();
  let busy = 0;

  function next(): void {
    for (const turn of waiting) {
      if (busy >= atOnce) return;
      waiting.delete(turn);
      turn.begin();
    }
  }

  function begin(host: string): Promise<readonly string[]> {
    busy += 1;
    const found = find(host).finally(() => {
      busy -= 1;
      underWay.delete(host);
      next();
    });
    underWay.set(host, found);
    return found;
  }

  return async (host) =>
    await new Promise<readonly string[]>((resolve, reject) => {
      const turn: Waiting = {
        begin: () => void (underWay.get(host) ?? begin(host)).then(resolve, reject).finally(done),
      };
      const timer = setTimeout(() => {
        waiting.delete(turn);
        reject(new Error(`no answer about ${host} in time`));
      }, patienceMs);
      const done = (): void => clearTimeout(timer);
      if (underWay.has(host) || busy < atOnce) turn.begin();
      else waiting.add(turn);
    });
}

async function bySystem(host: string): Promise<string[]> {
  const answers = await lookup(host, { all: true, verbatim: true });
  return answers.map((answer) => answer.address);
}

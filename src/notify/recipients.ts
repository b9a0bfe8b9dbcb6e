import { isMailAddress } from '../host/mail-template.ts';

const MOST = 50;

/**
 * The addresses of a stored list: a JSON array, or separated by commas, semicolons or blanks. What is no plain mail address is left
 * out, each address comes once (whatever its case), in the order of the list.
 */
export function parseAddresses(text: string | null | undefined): string[] {
  if (text === null || text === undefined) return [];
  const found = new Map<string, string>();
  for (const part of partsOf(text.trim())) {
    const address = part.trim();
    if (isMailAddress(address) && !found.has(address.toLowerCase())) found.set(address.toLowerCase(), address);
  }
  return [...found.values()].slice(0, MOST);
}

function partsOf(text: string): string[] {
  if (text.startsWith('[')) {
    try {
      const value: unknown = JSON.parse(text);
      if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
    } catch {
      // Not JSON after all: somebody typed a bracket.
    }
  }
  return text.split(/[,;\s]+/);
}

/** Who gets a mail about a job: whom the job names, else whom the client's settings name, else the client. */
export function recipientsOf(lists: {
  readonly job: string | null;
  readonly client: string | null;
  readonly clientEmail: string;
}): string[] {
  for (const list of [lists.job, lists.client, lists.clientEmail]) {
    const addresses = parseAddresses(list);
    if (addresses.length > 0) return addresses;
  }
  return [];
}

import ipaddr from 'ipaddr.js';
import { BackupError } from '../errors/backup-error.ts';
import { systemResolver } from './resolver.ts';

/**
 * Guard for hosts that a customer gave: a source may lie anywhere on the public internet, and nowhere on the operator's own
 * networks. The name is resolved and **every** address must be public; the operator may allow hosts by name. Between this check and
 * the connection of the transfer program the name may change its address: the kernel rules of deploy/nftables.conf close that gap.
 */
export interface EgressGuard {
  /**
   * @param host name or literal address, as the customer wrote it; brackets around IPv6 are accepted.
   * @throws BackupError `HOST_NOT_ALLOWED`, `ERR_HOST_UNKNOWN` (does not resolve)
   */
  check(host: string, port: number): Promise<AllowedHost>;
  /**
   * Check of an S3 or WebDAV endpoint: `http` or `https`, no user info, no fragment.
   * @throws BackupError `HOST_NOT_ALLOWED`, `ERR_HOST_UNKNOWN`, `ERR_SOURCE_CONFIG`
   */
  checkUrl(url: string): Promise<AllowedHost>;
  /** The part that needs no resolver: refuses literal addresses and names that can only be internal. For forms. */
  checkName(host: string, port: number): void;
}

export interface AllowedHost {
  /** Lower case, without brackets and trailing dot. */
  readonly host: string;
  readonly port: number;
  /** What it resolved to; empty when the operator allowed the host by name (it is then not resolved). */
  readonly addresses: readonly string[];
}

/** All addresses of a name; an empty list or an error means that it does not resolve. */
export type Resolver = (host: string) => Promise<readonly string[]>;

export interface EgressOptions {
  /** Hosts the operator allows although they are internal: `nas.example.lan`, `127.0.0.1:9000`, `[fd00::5]:22`. Without a port, any port. */
  readonly allow?: readonly string[];
  readonly resolve?: Resolver;
}

export function createEgressGuard(options: EgressOptions = {}): EgressGuard {
  const allowed = new Set((options.allow ?? []).map(normalAllowEntry));
  const resolve = options.resolve ?? resolveBySystem;
  const isAllowed = (host: string, port: number): boolean => allowed.has(host) || allowed.has(`${host} ${port}`);

  function checkName(given: string, port: number): string {
    const host = normalHost(given);
    if (isAllowed(host, port)) return host;
    if (isInternalName(host)) throw refused();
    const literal = parseAddress(host);
    if (literal === 'odd') throw refused();
    if (literal !== null && !isPublic(literal)) throw refused();
    return host;
  }

  async function check(given: string, port: number): Promise<AllowedHost> {
    const host = checkName(given, port);
    if (isAllowed(host, port)) return { host, port, addresses: [] };
    const addresses = parseAddress(host) === null ? await resolveOrThrow(resolve, host) : [host];
    for (const address of addresses) {
      const parsed = parseAddress(address);
      if (parsed === null || parsed === 'odd' || !isPublic(parsed)) throw refused();
    }
    return { host, port, addresses };
  }

  return {
    check,
    checkName: (host, port) => void checkName(host, port),
    async checkUrl(url) {
      const { host, port } = parseEndpoint(url);
      return check(host, port);
    },
  };
}

/** Host and port of an endpoint. A bare `host[:port]` counts as https, as rclone takes it. */
export function parseEndpoint(endpoint: string): { host: string; port: number } {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`;
  // WHATWG URL strips tabs and newlines silently; the program that connects might not.
  const url = /[\s\u0000-\u001f\u007f\\]/.test(endpoint) ? null : URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new BackupError('ERR_SOURCE_CONFIG', 'The endpoint is not a valid http or https address.');
  }
  if (url.username !== '' || url.password !== '' || url.hash !== '' || url.search !== '') {
    throw new BackupError('ERR_SOURCE_CONFIG', 'The endpoint may hold a host, a port and a path only.');
  }
  return { host: url.hostname, port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port) };
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * A literal address; null for a name; `odd` for what some resolvers take for an address although it is not one in the usual form
 * (`0x7f.1`, `017700000001`, `2130706433`, `fe80::1%eth0`): such spellings exist to slip past checks.
 */
function parseAddress(host: string): Address | 'odd' | null {
  if (host.includes(':')) {
    if (host.includes('%') || !ipaddr.IPv6.isValid(host)) return 'odd';
    return unwrap(ipaddr.IPv6.parse(host));
  }
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) {
    // Leading zeros are octal to some and decimal to others.
    return /(^|\.)0\d/.test(host) ? 'odd' : ipaddr.IPv4.parse(host);
  }
  const lastLabel = host.slice(host.lastIndexOf('.') + 1);
  return /^(?:\d+|0x[0-9a-f]*)$/.test(lastLabel) ? 'odd' : null;
}

/** The IPv4 address inside an IPv6 one that leads to it (mapped, NAT64, 6to4), so that it is judged by what it reaches. */
function unwrap(address: ipaddr.IPv6): Address {
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  return address;
}

/** ipaddr.js calls everything that is not set aside by IANA's special-purpose registries `unicast`. */
function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  return !EXTRA_RANGES.some(([network, bits]) => address.kind() === network.kind() && address.match(network, bits));
}

/** Ranges beyond the registry that ipaddr.js knows, and addresses at which clouds answer with credentials. */
const EXTRA_RANGES: readonly (readonly [Address, number])[] = [
  '192.0.0.0/24', // IETF protocol assignments, cloud metadata at 192.0.0.192
  '192.88.99.0/24', // 6to4 relays
  '168.63.129.16/32', // platform address of a cloud, reachable from its machines only
  '100.100.100.200/32', // metadata of a cloud
  '64:ff9b::/96', // NAT64: leads to any IPv4 address
  '64:ff9b:1::/48', // NAT64 for local use
  '2001::/23', // IETF protocol assignments, Teredo among them
  '2002::/16', // 6to4: leads to any IPv4 address
  '3fff::/20', // documentation
  '5f00::/16', // segment routing
  '::/96', // IPv4-compatible, deprecated
  'fec0::/10', // site-local, deprecated
  'fd00:ec2::254/128', // metadata of a cloud
].map((range) => ipaddr.parseCIDR(range));

/** Names that stand for this machine or for a private network whatever a resolver says. RFC 6761, RFC 6762, RFC 8375, ICANN's `.internal`. */
function isInternalName(host: string): boolean {
  return /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa|corp|home|private)$/.test(host);
}

function normalHost(given: string): string {
  const bare = given.startsWith('[') && given.endsWith(']') ? given.slice(1, -1) : given;
  // One trailing dot is the root of the DNS; a second one makes no name.
  const host = bare.toLowerCase().replace(/\.$/, '');
  const shaped = /^[a-z0-9._:%-]+$/.test(host) && !/^[.-]|\.\.|\.$/.test(host);
  if (!shaped || host.length > 253) {
    throw new BackupError('HOST_NOT_ALLOWED', 'The host is written neither as a name nor as an address.');
  }
  return host;
}

/** `host` or `host port`, the form in which checks look entries up. */
function normalAllowEntry(entry: string): string {
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(entry.trim());
  // A bare IPv6 address has colons and no brackets.
  if (match === null) return normalHost(entry.trim());
  const host = normalHost(match[1] ?? '');
  return match[2] === undefined ? host : `${host} ${Number(match[2])}`;
}

async function resolveOrThrow(resolve: Resolver, host: string): Promise<readonly string[]> {
  try {
    const addresses = await resolve(host);
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    throw new BackupError('ERR_HOST_UNKNOWN', undefined, { cause });
  }
  throw new BackupError('ERR_HOST_UNKNOWN');
}

/** One for all guards of the process. */
const resolveBySystem = systemResolver();

function refused(): BackupError {
  return new BackupError('HOST_NOT_ALLOWED');
}

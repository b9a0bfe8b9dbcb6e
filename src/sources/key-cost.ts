/**
 * What opening a private key would cost. Whoever makes a key says in it how many rounds its passphrase is hashed; the programs that open
 * keys carry that out without asking, and without letting anything else go on meanwhile: a key with billions of rounds would stop
 * the portal for all customers.
 */

/** PBKDF2 and its predecessors; OpenSSL's default is 2,048, ssh-keygen's for PKCS #8 too. */
const MOST_ITERATIONS = 300_000;
/** N × r × p of scrypt; OpenSSL's default is 131,072. */
const MOST_SCRYPT = 2 ** 18;
/** bcrypt of OpenSSH's own form, some 50 ms each in the client that lists; ssh-keygen's default is 24. */
export const MOST_BCRYPT_ROUNDS = 200;

const SCRYPT = '2b06010401da47040b';
const [INTEGER, OBJECT_ID, SEQUENCE] = [0x02, 0x06, 0x30];

/** Whether each PEM block of the text is opened soon; `damaged` where that cannot be told. */
export function pemCost(text: string): 'bearable' | 'too_high' | 'damaged' {
  for (const [, label = '', body = ''] of text.matchAll(/-----BEGIN ([^-]*)-----([\s\S]*?)(?:-----END|$)/g)) {
    // Of the older form the head says it; its passphrase is hashed once.
    if (body.includes('Proc-Type:')) continue;
    const encrypted = label.startsWith('ENCRYPTED');
    const isBase64 = /^[A-Za-z0-9+/\s]*=?\s*=?\s*$/.test(body);
    const algorithm = isBase64 ? encryptionOf(Buffer.from(body, 'base64')) : null;
    if (algorithm === null && encrypted) return 'damaged';
    if (algorithm !== null && !isBearable(algorithm)) return 'too_high';
  }
  return 'bearable';
}

interface Algorithm {
  readonly ids: readonly string[];
  readonly numbers: readonly number[];
}

function isBearable({ ids, numbers }: Algorithm): boolean {
  if (ids.includes(SCRYPT)) return numbers.slice(0, 3).reduce((product, number) => product * number, 1) <= MOST_SCRYPT;
  return numbers.every((number) => number <= MOST_ITERATIONS);
}

/** What EncryptedPrivateKeyInfo (RFC 5958, section 3) begins with; null: it is none, or not in DER. */
function encryptionOf(der: Buffer): Algorithm | null {
  try {
    const [outer] = elementsOf(der);
    const [first, second] = outer?.tag === SEQUENCE ? elementsOf(outer.content) : [];
    if (first?.tag !== SEQUENCE || second === undefined) return null;
    const found = { ids: [] as string[], numbers: [] as number[] };
    collect(first.content, found, 0);
    return found;
  } catch {
    return null;
  }
}

const DEEPEST = 8;

function collect(der: Buffer, found: { ids: string[]; numbers: number[] }, depth: number): void {
  if (depth > DEEPEST) throw new RangeError('too deep');
  for (const { tag, content } of elementsOf(der)) {
    if (tag === SEQUENCE) collect(content, found, depth + 1);
    else if (tag === OBJECT_ID) found.ids.push(content.toString('hex'));
    else if (tag === INTEGER) found.numbers.push(content.length > 6 ? Infinity : content.readUIntBE(0, content.length));
  }
}

/** @throws RangeError for anything but whole elements of definite length */
function elementsOf(der: Buffer): { tag: number; content: Buffer }[] {
  const elements: { tag: number; content: Buffer }[] = [];
  for (let at = 0; at < der.length;) {
    const tag = der.readUInt8(at);
    const short = der.readUInt8(at + 1);
    const more = short < 0x80 ? 0 : short & 0x7f;
    if (short === 0x80 || more > 4) throw new RangeError('no definite length');
    const length = more === 0 ? short : der.readUIntBE(at + 2, more);
    const start = at + 2 + more;
    if (start + length > der.length) throw new RangeError('cut off');
    elements.push({ tag, content: der.subarray(start, start + length) });
    at = start + length;
  }
  return elements;
}

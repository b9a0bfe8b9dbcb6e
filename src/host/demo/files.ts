import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

/** One file of a demo source. The same list and the same bytes on every machine. */
export interface DemoFile {
  readonly path: string;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
  readonly content: () => Buffer;
}

/** Writes a tree below `folder`. */
export function writeFiles(folder: string, files: readonly DemoFile[]): void {
  for (const file of files) {
    const path = join(folder, file.path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content());
    utimesSync(path, file.modifiedAt / 1000, file.modifiedAt / 1000);
  }
}

/** The S3 source: what the website of a small shop holds. 340 files, 46 MB. */
export function shopFiles(): DemoFile[] {
  const pages = times(40, (n) => text(`pages/${pad(n)} ${WORDS[n % WORDS.length]}.html`, 2_000 + 700 * n));
  const products = times(160, (n) =>
    picture(`images/products/${CATEGORIES[n % 4]}/item ${pad(n)}.png`, 64 + (n % 9) * 24),
  );
  const places = times(24, (n) => picture(`images/Fotos aus München/Außenansicht ${pad(n)}.png`, 240 + 16 * (n % 5)));
  const orders = times(48, (n) => table(`orders/${2022 + (n % 4)}/orders-${pad(n)}.csv`, 40 + 25 * n));
  const logs = times(60, (n) => log(`logs/access.${pad(n)}.log`, 4_096 * (1 + (n % 7))));
  return dated([
    ...pages,
    ...products,
    ...places,
    ...orders,
    ...logs,
    table('orders/all orders (export).csv', 60_000),
    log('logs/archive/Größe & Menge.log', 6 * 1024 * 1024),
    noise('backups/database.sql.gz', 12 * 1024 * 1024),
    noise('backups/previous/database.sql.gz', 5 * 1024 * 1024),
    text('robots.txt', 64),
    text('カタログ/商品一覧.txt', 900),
    text("notes/it's a file - with, odd; characters! #1 100% [draft].md", 1_200),
    empty('uploads/.keep'),
  ]);
}

/** The SFTP source: a small office's file server. 261 files, 15 MB. */
export function officeFiles(): DemoFile[] {
  const letters = times(90, (n) => text(`Korrespondenz/${2021 + (n % 5)}/Brief an Kunde ${pad(n)}.txt`, 700 + 90 * n));
  const contracts = times(45, (n) => noise(`Verträge/Vertrag Nr. ${pad(n)} (unterschrieben).pdf`, 30_000 + 3_000 * n));
  const books = times(48, (n) =>
    table(`Buchhaltung/${2022 + (n % 4)}/Monat ${pad(1 + (n % 12))}/Journal ${pad(n)}.csv`, 60 + 9 * n),
  );
  const scans = times(70, (n) => picture(`Scans/Übersicht ${pad(n)}.png`, 80 + (n % 11) * 20));
  return dated([
    ...letters,
    ...contracts,
    ...books,
    ...scans,
    text('README.txt', 400),
    text('Projekte/Café Zürich/naïve façade.txt', 2_400),
    text('Projekte/a/b/c/d/e/f/g/h/i/j/deeply nested.txt', 300),
    log('Projekte/Protokolle/meeting log.txt', 300_000),
    noise('Projekte/Pläne/Grundriss.dwg', 2 * 1024 * 1024),
    picture('Projekte/Pläne/Ansicht Süd.png', 400),
    empty('Projekte/offen.txt'),
    empty('Eingang/.keep'),
  ]);
}

const CATEGORIES = ['shoes', 'bags', 'hats', 'sale'] as const;
const WORDS = ['about us', 'contact', 'delivery', 'opening hours', 'returns', 'news', 'team', 'imprint'] as const;
const SENTENCES = [
  'The order was packed in the morning and left the house before noon.',
  'Please find the list of open items attached.',
  'We agreed on a delivery date in the second week of the month.',
  'All prices are given without tax.',
  'Die Lieferung erfolgt an die oben genannte Adresse.',
  'The next meeting takes place in the large room on the first floor.',
] as const;

type Draft = Omit<DemoFile, 'modifiedAt'>;

function times(count: number, make: (n: number) => Draft): Draft[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}

/** One file an hour and 13 minutes, from the beginning of 2025 on. */
function dated(drafts: readonly Draft[]): DemoFile[] {
  return drafts.map((draft, n) => ({ ...draft, modifiedAt: Date.UTC(2025, 0, 1, 8) + n * 73 * 60_000 }));
}

function text(path: string, size: number): Draft {
  return repeated(path, size, (n) => `${SENTENCES[n % SENTENCES.length]}\n`);
}

function table(path: string, rows: number): Draft {
  const row = (n: number): string => `${1000 + n};item ${n % 97};${(n * 7919) % 400};${((n * 104729) % 9000) / 100}\n`;
  return {
    path,
    content: () => Buffer.from(`number;item;count;price\n${Array.from({ length: rows }, (_, n) => row(n)).join('')}`),
  };
}

function log(path: string, size: number): Draft {
  return repeated(
    path,
    size,
    (n) => `192.0.2.${n % 250} - - "GET /item/${(n * 7919) % 1000} HTTP/1.1" 200 ${(n * 31) % 9000}\n`,
  );
}

function empty(path: string): Draft {
  return { path, content: () => Buffer.alloc(0) };
}

function repeated(path: string, size: number, line: (n: number) => string): Draft {
  return {
    path,
    content: () => {
      const lines = [`${path}\n`];
      for (let length = 0, n = 0; length < size; n += 1) {
        const next = line(n);
        lines.push(next);
        length += next.length;
      }
      return Buffer.from(lines.join('')).subarray(0, size);
    },
  };
}

/** Bytes that do not compress, the same for the same path: a key stream of AES. */
function noise(path: string, size: number): Draft {
  const seed = createHash('sha256').update(path).digest();
  return {
    path,
    content: () => createCipheriv('aes-256-ctr', seed, Buffer.alloc(16)).update(Buffer.alloc(size)),
  };
}

/** A picture that opens: a PNG of `edge` × `edge` pixels, a gradient with some grain (W3C PNG, colour type 2). */
function picture(path: string, edge: number): Draft {
  return {
    path,
    content: () => {
      const [red = 0, green = 0, blue = 0] = createHash('sha256').update(path).digest();
      const pixels = Buffer.alloc(edge * (edge * 3 + 1));
      for (let y = 0; y < edge; y += 1) {
        for (let x = 0; x < edge; x += 1) {
          const at = y * (edge * 3 + 1) + 1 + x * 3;
          const grain = (x * 7919 + y * 104729) % 13;
          pixels[at] = (red + x + grain) & 255;
          pixels[at + 1] = (green + y) & 255;
          pixels[at + 2] = (blue + ((x + y) >> 1)) & 255;
        }
      }
      const header = Buffer.alloc(13);
      header.writeUInt32BE(edge, 0);
      header.writeUInt32BE(edge, 4);
      header.set([8, 2, 0, 0, 0], 8);
      const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
      return Buffer.concat([
        signature,
        pngChunk('IHDR', header),
        pngChunk('IDAT', deflateSync(pixels, { level: 1 })),
        pngChunk('IEND', Buffer.alloc(0)),
      ]);
    },
  };
}

function pngChunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, check]);
}

/** Bytes that go out at once, about. */
const PIECE = 16 * 1024;

/**
 * A table as CSV (RFC 4180) in UTF-8, with the mark by which spreadsheets know that. Whatever begins like a formula is made a text: the
 * names in a report are given by whoever could write a file.
 */
export async function* csvOf(
  head: readonly string[],
  rows: AsyncIterable<readonly string[]>,
): AsyncGenerator<Uint8Array> {
  let text = `\ufeff${csvLine(head)}`;
  for await (const row of rows) {
    text += csvLine(row);
    if (text.length < PIECE) continue;
    yield Buffer.from(text, 'utf8');
    text = '';
  }
  if (text !== '') yield Buffer.from(text, 'utf8');
}

export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** A tab, a line break or a sign at the beginning would let a spreadsheet calculate; an apostrophe before it is shown as text. */
function csvCell(text: string): string {
  const safe = /^[\s]*[=+\-@|]|^[\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) || safe !== text ? `"${safe.replaceAll('"', '""')}"` : safe;
}

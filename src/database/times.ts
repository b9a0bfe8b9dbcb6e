/** Epoch milliseconds → the text form of our time columns, `YYYY-MM-DD HH:MM:SS.mmm` in UTC. */
export function toDatabaseTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').slice(0, 23);
}

/** The text form of our time columns → epoch milliseconds. */
export function fromDatabaseTime(text: string): number {
  return Date.parse(`${text.slice(0, 10)}T${text.slice(11, 23)}Z`);
}

/** As `fromDatabaseTime`, null stays null. */
export function fromDatabaseTimeOrNull(text: string | null): number | null {
  return text === null ? null : fromDatabaseTime(text);
}

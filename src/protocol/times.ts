import { z } from 'zod';

/** A time leaves twice: ISO 8601 in UTC for people and programs, epoch milliseconds for arithmetic. Null means "not yet" or "never". */
export const Iso = z.string().nullable();
export const EpochMs = z.number().int().nullable();

type Timed<Names extends string> = { [Name in Names]: string | null } & {
  [Name in `${Names}_epoch_ms`]: number | null;
};

/** `{ started_at: 1700000000000 }` → `{ started_at: '2023-…Z', started_at_epoch_ms: 1700000000000 }` */
export function times<Names extends string>(given: Readonly<Record<Names, number | null>>): Timed<Names> {
  const fields: Record<string, string | number | null> = {};
  for (const [name, epochMs] of Object.entries<number | null>(given)) {
    fields[name] = epochMs === null ? null : new Date(epochMs).toISOString();
    fields[`${name}_epoch_ms`] = epochMs;
  }
  return fields as Timed<Names>;
}

/** The zod fields that `times` fills. */
export function timeFields<Names extends string>(...names: Names[]) {
  const fields: Record<string, z.ZodType> = {};
  for (const name of names) {
    fields[name] = Iso;
    fields[`${name}_epoch_ms`] = EpochMs;
  }
  return fields as { [Name in Names]: typeof Iso } & { [Name in `${Names}_epoch_ms`]: typeof EpochMs };
}

import type { z } from 'zod';

export type EventLevel = 'info' | 'warn' | 'error';

/** What an event is for: pages choose icon and place by it. `summary` and `cancelled` end a run. */
export type EventType = 'start' | 'info' | 'progress' | 'summary' | 'warning' | 'error' | 'cancelled';

/** How values become text, for one viewer: see render.ts. */
export interface Show {
  /** 12,345 */
  count(value: number): string;
  /** `1 file`, `12,345 files` */
  many(value: number, one: string, more?: string): string;
  /** `1.50 MiB`; `0 Bytes`, `1 Byte` */
  bytes(value: number): string;
  /** `1.50 MiB/s` */
  speed(bytesPerSecond: number): string;
  /** `12.50%` */
  percent(value: number): string;
  /** `1h 2m 3s`, or `-` when it is not known */
  duration(seconds: number | null): string;
  /** Epoch milliseconds, in the viewer's time zone. */
  time(epochMs: number): string;
  /** A prefix or folder: shortened in the middle when it is long. */
  path(value: string): string;
  /** The name of one of the customer's files: kept as long as it can be read. */
  file(value: string): string;
  /** Text of a program or server: names of engines, keys and addresses taken out. */
  text(value: string): string;
  /** Identifier of a snapshot: shortened. */
  id(value: string): string;
}

export interface EventDefinition<Params extends z.ZodObject = z.ZodObject> {
  readonly type: EventType;
  readonly level: EventLevel;
  readonly params: Params;
  /**
   * English. In a template `{files_done:count}` stands for the parameter, shown by the function of `Show` after the colon.
   */
  readonly text: string | ((params: z.output<Params>, show: Show) => string);
  /** The row's code, when a parameter tells more than the message id. */
  readonly code?: (params: z.output<Params>) => string | undefined;
}

export function define<Params extends z.ZodObject>(
  type: EventType,
  level: EventLevel,
  params: Params,
  text: EventDefinition<Params>['text'],
  code?: EventDefinition<Params>['code'],
): EventDefinition<Params> {
  return { type, level, params, text, ...(code ? { code } : {}) };
}

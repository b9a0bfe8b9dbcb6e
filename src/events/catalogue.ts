import type { z } from 'zod';
import { agentEvents, kopiaEvents, restoreEvents } from './agent-events.ts';
import { backupEvents } from './backup-events.ts';
import type { EventDefinition, EventLevel, EventType } from './define.ts';
import { errorEventId, errorEvents } from './error-events.ts';
import { proofEvents } from './proof-events.ts';
import { pruneEvents } from './prune-events.ts';
import { lifeEvents } from './run-events.ts';

/**
 * Every event that a run can tell, once: emitters name an id and its parameters, renderers make the text. An id is never
 * renamed or given another meaning after a release, because rows with it lie in databases for months.
 */
export const catalogue = {
  ...lifeEvents,
  ...backupEvents,
  ...pruneEvents,
  ...errorEvents,
  ...proofEvents,
  ...restoreEvents,
  ...kopiaEvents,
  ...agentEvents,
} as const satisfies Record<string, { type: EventType; level: EventLevel; params: z.ZodObject }>;

export type MessageId = keyof typeof catalogue;
export type EventParams<Id extends MessageId> = z.input<(typeof catalogue)[Id]['params']>;

/** An event that is ready to be appended to a run. */
export interface RunEvent {
  readonly type: EventType;
  readonly level: EventLevel;
  readonly code: string;
  readonly messageId: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** The parameters of an event, which may be left out when none is needed. */
export type EventArguments<Id extends MessageId> =
  Record<never, never> extends EventParams<Id> ? [params?: EventParams<Id>] : [params: EventParams<Id>];

/**
 * One event. Parameters are checked by their types, not while the run is under way: an odd number must never make a backup fail.
 */
export function event<Id extends MessageId>(id: Id, ...given: EventArguments<Id>): RunEvent {
  const params = (given[0] ?? {}) as Record<string, unknown>;
  const definition = definitionOf(id);
  return {
    type: definition?.type ?? 'info',
    level: definition?.level ?? 'info',
    code: definition?.code?.(params as never) ?? id,
    messageId: id,
    params,
  };
}

/** The event that tells why a run failed, by its error code. */
export function errorEvent(code: string): RunEvent {
  return event(errorEventId(code), { detail_code: code });
}

/** What the catalogue says of an id; undefined for one that it does not know. */
export function definitionOf(id: string): EventDefinition | undefined {
  return Object.hasOwn(catalogue, id) ? (catalogue as unknown as Record<string, EventDefinition>)[id] : undefined;
}

/** Events that a run must show whatever its number of events: its errors and its end. */
export function isIndispensable(given: Pick<RunEvent, 'type' | 'level'>): boolean {
  return isClosing(given) || given.level === 'error';
}

/** Events that end a run. */
export function isClosing(given: Pick<RunEvent, 'type'>): boolean {
  return given.type === 'summary' || given.type === 'cancelled';
}

/** The id as customers see it: nothing outside names the engine. */
export function publicMessageId(id: string): string {
  return id.replace(/^KOPIA_/, 'ENGINE_');
}

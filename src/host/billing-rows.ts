import { z } from 'zod';
import type { ServiceState } from './port.ts';

/** Rows of the host's tables in whatever form a driver hands them out, and what they mean. Pure. */
const Numeric = z.union([z.number(), z.bigint(), z.string().regex(/^-?\d+(\.\d+)?$/)]).transform(Number);
const Text = z
  .union([z.string(), z.number(), z.bigint(), z.null(), z.undefined()])
  .transform((value) => (value === null || value === undefined ? '' : String(value)));
const Flag = z.unknown().transform(isTrue);

export const SettingRows = z.array(z.object({ name: Text, value: Text }));
export const ClientRows = z.array(z.object({ id: Numeric, email: Text, first: Text, last: Text }));
export const ServiceRows = z.array(
  z.object({ username: Text, state: Text, limit: Numeric.nullish(), used: Numeric.nullish(), measured: z.unknown() }),
);
export const AccountRows = z.array(
  z.object({ id: Numeric, username: Text, parent: Numeric.nullish(), uid: Text, tenant: Text }),
);
export const BucketRows = z.array(
  z.object({ id: Numeric, name: Text, account: Numeric, versioning: Text, lock: Flag }),
);
export const KeyRow = z.object({ access: z.string(), secret: z.string() });
export const TemplateRows = z.array(
  z.object({
    subject: Text,
    message: Text,
    plain: Flag,
    name: Text,
    address: Text,
    language: Text,
    disabled: Flag,
  }),
);
export type Service = z.output<typeof ServiceRows>[number];

/** 1, '1', true, 'on', BIT(1): all of them have been seen. */
export function isTrue(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.some((byte) => byte !== 0);
  return value === true || value === 1 || value === 1n || ['1', 'true', 'on', 'yes', 'enabled'].includes(String(value));
}

/**
 * Only an explicit end of every service makes a client `terminated`, because data is removed after that. No service at all, a
 * pending one or one held for fraud means: no new runs, nothing removed.
 */
export function stateOf(services: readonly Service[]): ServiceState {
  const states = services.map((service) => service.state.trim().toLowerCase());
  if (states.some((state) => state === 'active' || state === 'completed')) return 'active';
  if (states.length > 0 && states.every((state) => state === 'terminated' || state === 'cancelled'))
    return 'terminated';
  return 'suspended';
}

/** Days. Whatever else it is, also nothing at all, keeps the data for good: neither a slip of the pen nor a host that never heard of this deletes anything. */
export function graceOf(setting: string | undefined): number | null {
  if (setting === undefined) return null;
  const days = Number(setting);
  return setting.trim() !== '' && Number.isFinite(days) && days >= 0 && days <= 3_650 ? days : null;
}

const MIB = 1024 * 1024;

/** `tblhosting` counts in MiB; a limit of 0 is none, and a usage that was never measured is not known. */
export function quotaOf(services: readonly Service[]): { limitBytes: number | null; usedBytes: number | null } {
  const running = services.filter((service) => !/^(terminated|cancelled)$/i.test(service.state.trim()));
  const limits = running.map((service) => service.limit ?? 0);
  const measured = running.filter((service) => wasMeasured(service.measured));
  return {
    limitBytes: limits.length === 0 || limits.includes(0) ? null : sum(limits) * MIB,
    usedBytes: measured.length === 0 ? null : sum(measured.map((service) => service.used ?? 0)) * MIB,
  };
}

/** MySQL's zero date comes as text, as an invalid Date or as null, depending on the driver's options. */
function wasMeasured(value: unknown): boolean {
  if (value instanceof Date) return !Number.isNaN(value.getTime()) && value.getTime() > 0;
  if (typeof value === 'number') return value > 0;
  return typeof value === 'string' && /^[1-9]/.test(value);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

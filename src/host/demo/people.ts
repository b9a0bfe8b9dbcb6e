import type { Knex } from 'knex';
import { z } from 'zod';
import { verifyPassword } from './passwords.ts';
import type { SignIn } from './session.ts';

const Row = z.object({ id: z.coerce.number(), first: z.string(), last: z.string(), password: z.string() });

/** The customer with this mail address and password, or null; a wrong address takes as long as a wrong password. */
export async function findCustomer(knex: Knex, email: string, password: string): Promise<SignIn | null> {
  const row: unknown = await knex('tblclients')
    .where({ email: email.trim().toLowerCase(), status: 'Active' })
    .select({ id: 'id', first: 'firstname', last: 'lastname', password: 'password' })
    .first();
  return await checked(row, password, 'client');
}

export async function findAdmin(knex: Knex, username: string, password: string): Promise<SignIn | null> {
  const row: unknown = await knex('tbladmins')
    .where('username', username.trim())
    .select({ id: 'id', first: 'firstname', last: 'lastname', password: 'password' })
    .first();
  return await checked(row, password, 'admin');
}

/** Whether this is the password of the customer with this number. */
export async function isPasswordOf(knex: Knex, clientId: number, password: string): Promise<boolean> {
  const row: unknown = await knex('tblclients')
    .where('id', clientId)
    .select({ id: 'id', first: 'firstname', last: 'lastname', password: 'password' })
    .first();
  return (await checked(row, password, 'client')) !== null;
}

async function checked(row: unknown, password: string, kind: SignIn['kind']): Promise<SignIn | null> {
  const found = Row.safeParse(row);
  const right = await verifyPassword(password, found.success ? found.data.password : '');
  return right && found.success
    ? { kind, id: found.data.id, name: `${found.data.first} ${found.data.last}`.trim() }
    : null;
}

export interface CustomerRow {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly service: string;
}

/** For the admin's list of customers. */
export async function listCustomers(knex: Knex): Promise<CustomerRow[]> {
  const rows: unknown = await knex('tblclients')
    .leftJoin('tblhosting', 'tblhosting.userid', 'tblclients.id')
    .orderBy('tblclients.id')
    .select({
      id: 'tblclients.id',
      first: 'tblclients.firstname',
      last: 'tblclients.lastname',
      email: 'tblclients.email',
      service: 'tblhosting.domainstatus',
    });
  return CustomerRows.parse(rows).map(({ first, last, service, ...row }) => ({
    ...row,
    name: `${first} ${last}`.trim(),
    service: service ?? 'None',
  }));
}

const CustomerRows = z.array(
  z.object({
    id: z.coerce.number(),
    first: z.string(),
    last: z.string(),
    email: z.string(),
    service: z.string().nullable(),
  }),
);

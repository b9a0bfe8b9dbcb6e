import { z } from 'zod';
import { text } from './fields.ts';

/** Settings of every source that is reached by a connected account. */
export const connectionField = {
  connection: z
    .string({ error: 'choose a connected account' })
    .trim()
    .toLowerCase()
    .pipe(z.uuid({ error: 'choose a connected account' })),
  /** Whose account it is, to be shown; filled in from the connection. */
  account: text(191).optional(),
};

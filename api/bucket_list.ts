import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { BucketView } from '../src/protocol/job.ts';

/** The client's active buckets, of its own storage account and of the accounts below it. */
export default endpoint({
  name: 'bucket_list',
  method: 'GET',
  caller: 'client',
  input: z.object({}),
  output: z.object({ buckets: z.array(BucketView) }),
  errors: [],
  handle: async ({ client }) => ({ buckets: await client.buckets.list() }),
});

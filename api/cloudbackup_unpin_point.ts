import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { PointId } from '../src/protocol/fields.ts';

/** Takes the pin off a restore point: from now on retention decides about it. */
export default endpoint({
  name: 'cloudbackup_unpin_point',
  method: 'POST',
  caller: 'client',
  input: z.object({ point_id: PointId }),
  output: z.object({ pinned: z.boolean(), message: z.string() }),
  errors: ['POINT_NOT_FOUND'],
  handle: async ({ client, input }) => {
    await client.retention.unpin(input.point_id);
    return { pinned: false, message: 'Retention decides about this restore point again.' };
  },
});

import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { PointId } from '../src/protocol/fields.ts';

/** Pins a restore point: retention leaves it alone until it is unpinned. It still goes when the job's data is deleted. */
export default endpoint({
  name: 'cloudbackup_pin_point',
  method: 'POST',
  caller: 'client',
  input: z.object({ point_id: PointId }),
  output: z.object({ pinned: z.boolean(), message: z.string() }),
  errors: ['POINT_NOT_FOUND'],
  handle: async ({ client, input }) => {
    await client.retention.pin(input.point_id);
    return { pinned: true, message: 'This restore point is kept until you unpin it.' };
  },
});

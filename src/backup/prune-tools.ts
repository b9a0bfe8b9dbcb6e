import type { SpillSpace } from './spill.ts';
import type { JobBucket } from './job-bucket.ts';
import type { PointSource } from './point-reader.ts';
import type { PruneLedger } from './prune-ledger.ts';
import type { Remover } from './remover.ts';

/** What the parts of a prune work with. */
export interface PruneTools {
  readonly ledger: PruneLedger;
  readonly bucket: JobBucket;
  readonly remover: Remover;
  readonly points: PointSource;
  readonly space: SpillSpace;
  /** Asks the database until it answers. */
  readonly ask: <T>(question: () => Promise<T>) => Promise<T>;
  /** Throws MadeWay when a backup waits for the job. */
  readonly safePoint: () => void;
}

/** A backup waits for the job: the prune stops, and what it did stays done. */
export class MadeWay extends Error {
  override readonly name = 'MadeWay';
}

import type { DatabaseView, Explanation } from '../layout/explain.ts';
import type { Manifest } from '../layout/types.ts';
import type { NewPoint } from './ledger.ts';
import { tryManifest, type OpenManifest, type PointSource } from './point-reader.ts';
import type { WholenessProof } from './whole.ts';

export interface AdoptionTools {
  readonly points: PointSource;
  readonly proof: WholenessProof;
  readonly database: DatabaseView;
  /** Inserts the point; answers as `RunLedger.adopt`, but throws where the lease is lost. */
  readonly adopt: (point: NewPoint) => Promise<'adopted' | 'known'>;
}

/**
 * Takes whole manifests of terminal runs without a point into the list: their runs were ended between manifest and commit. Returns those
 * that are points now.
 */
export async function adoptWhole(
  tools: AdoptionTools,
  candidates: Explanation['adopt'],
): Promise<{ readonly run: string; readonly claim: string; readonly verdict: 'adopted' | 'known' }[]> {
  const adopted: { run: string; claim: string; verdict: 'adopted' | 'known' }[] = [];
  for (const { run, claims } of candidates) {
    const found = await firstWhole(tools, run, claims, (manifest) => isParentThere(manifest, tools.database));
    if (found === null) continue;
    const verdict = await tools.adopt(newPointOf(found));
    adopted.push({ run, claim: found.manifest.claim, verdict });
  }
  return adopted;
}

/** The first of these claims whose manifest is whole, and acceptable. */
export async function firstWhole(
  { points, proof }: Pick<AdoptionTools, 'points' | 'proof'>,
  run: string,
  claims: readonly string[],
  isAcceptable: (manifest: Manifest) => boolean = () => true,
): Promise<OpenManifest | null> {
  for (const claim of claims) {
    const found = await tryManifest(points, { run, claim });
    if (found !== null && isAcceptable(found.manifest) && (await proof.isWhole(found.manifest))) return found;
  }
  return null;
}

/**
 * A manifest refers to objects of its own claim and of the point it was compared with. When that point is being deleted, or is gone, a
 * late delete may still be on its way to them, although the listing shows them: the manifest came too late to be a point.
 */
function isParentThere({ parent }: Manifest, database: DatabaseView): boolean {
  if (parent === null) return true;
  return database.points.some(
    ({ manifestKey, manifestSha256, state }) =>
      manifestKey === parent.key && manifestSha256 === parent.sha256 && state !== 'deleting',
  );
}

/** The point's row, as its manifest tells it. */
export function newPointOf(read: { key: string; sha256: string; manifest: Manifest }): NewPoint {
  const { manifest } = read;
  return {
    run: manifest.run,
    claim: manifest.claim,
    generation: manifest.generation,
    manifestKey: read.key,
    manifestSha256: read.sha256,
    createdAt: manifest.created_at,
    sourceType: manifest.source_type,
    complete: manifest.complete,
    frozen: manifest.frozen,
    files: manifest.files,
    bytes: manifest.bytes,
    stored: manifest.stored,
    carried: manifest.carried,
    failed: manifest.failed,
  };
}

/** What is known of all images that were looked at, also of those that the strip does not show. */

import type { components } from "../api/types";

export type Found = components["schemas"]["FoundOut"] & {
  readonly run: number;
  /** Grows with every look, so that what is new is painted anew. */
  readonly seen: number;
};

/** The image worth the next stroke: of those without strokes, the one in most doubt. */
export function mostDoubtful(found: Iterable<Found>, isLeftOut: (imageId: number) => boolean): Found | undefined {
  let most: Found | undefined;
  for (const each of found) if (!isLeftOut(each.image_id) && each.doubt > (most?.doubt ?? -1)) most = each;
  return most;
}

/** How many images pass and fail by the rules. */
export function tallied(found: Iterable<Found>): { passed: number; failed: number } {
  const tally = { passed: 0, failed: 0 };
  for (const { passed } of found) if (passed !== null) tally[passed ? "passed" : "failed"]++;
  return tally;
}

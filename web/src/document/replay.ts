/** What the server sent, and on top of it what is still on its way there. */

import type { components } from "../api/types";
import type { Letter } from "../outbox/database";
import type { Annotation } from "./annotation";
import { kept } from "./annotation";

/** Take over a mask as the server writes it. */
export function fromWire(wire: components["schemas"]["AnnotationOut"]): Annotation {
  const { made } = wire;
  return {
    id: wire.id,
    imageId: wire.image_id,
    version: wire.version,
    deleted: wire.deleted,
    content: {
      rle: wire.mask,
      categoryId: wire.category_id,
      made: {
        seconds: made.seconds ?? 0,
        clicks: made.clicks ?? 0,
        edits: made.edits ?? 0,
        modelId: made.model_id,
        predictedIou: made.predicted_iou,
        prompts: made.prompts,
        candidates: made.candidates,
      },
    },
    machine: made.made_by === "model" && made.stage === "semi" && wire.review === null,
    review: wire.review,
    note: wire.note,
    changedBy: wire.changed_by,
  };
}

/**
 * Do again what a reload has forgotten: operations that are in the outbox, oldest first.
 *
 * A mask whose version on the server is beyond what an operation was based on is left as it is:
 * either the operation arrived, or somebody was faster and the outbox will be told so.
 */
export function replay(
  annotations: readonly Annotation[],
  letters: readonly Letter[],
  author: string,
): Annotation[] {
  const known = new Map(annotations.map((each) => [each.id, each]));
  for (const { imageId, steps, changes } of letters) {
    for (const { id, change } of steps) {
      const before = known.get(id);
      if ((before?.version ?? 0) !== change.base_version) continue;
      if (change.kind === "keep") {
        if (before) known.set(id, kept(before, author));
        continue;
      }
      const after = changes.find((each) => each.id === id)?.after;
      const content = after ?? before?.content;
      if (!content) continue;
      known.set(id, {
        review: null,
        note: null,
        ...before,
        id,
        imageId,
        version: change.base_version + 1,
        deleted: change.kind === "delete",
        content,
        changedBy: author,
      });
    }
  }
  return [...known.values()];
}

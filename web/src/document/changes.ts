/** Changes of masks as values: how they are undone, and what they are on the wire. */

import type { components } from "../api/types";
import type { Annotation, Content, Made } from "./annotation";
import { sameContent } from "./annotation";

/** One mask before and after; null where there is none. */
export interface Change {
  readonly id: string;
  readonly before: Content | null;
  readonly after: Content | null;
}

/** What a person did at once and undoes at once. */
export interface Entry {
  /** A key of the table of messages: what is undone is said. */
  readonly label: string;
  readonly changes: readonly Change[];
}

export type Step = components["schemas"]["Step"];

export function invert(entry: Entry): Entry {
  const changes = entry.changes.map(({ id, before, after }) => ({ id, before: after, after: before }));
  return { label: entry.label, changes: changes.reverse() };
}

/**
 * Write a change for the server, based on what is known of the mask.
 *
 * Where a mask must come back from under its tombstone as something else, that takes two steps,
 * and each is a version of its own.
 */
export function toSteps(change: Change, known: Annotation | undefined, imageId: number): Step[] {
  const { id, after } = change;
  const version = known?.version ?? 0;
  const alive = known !== undefined && !known.deleted;
  if (!after) return alive ? [{ id, change: { kind: "delete", base_version: version } }] : [];
  if (!known) {
    const made = wireMade(after.made);
    const { rle, categoryId } = after;
    return [
      {
        id,
        change: {
          kind: "put",
          base_version: 0,
          image_id: imageId,
          mask: wireMask(rle),
          made,
          category_id: categoryId,
          is_crowd: false,
        },
      },
    ];
  }
  const steps: Step[] = [];
  if (!alive) steps.push({ id, change: { kind: "restore", base_version: version } });
  if (!sameContent(known.content, after)) {
    steps.push({ id, change: edit(known.content, after, version + steps.length) });
  }
  return steps;
}

function edit(before: Content, after: Content, base_version: number): Step["change"] {
  const moved = before.categoryId !== after.categoryId;
  const redrawn = before.rle.counts !== after.rle.counts;
  return {
    kind: "put",
    base_version,
    ...(redrawn ? { mask: wireMask(after.rle), made: wireMade(after.made) } : {}),
    ...(moved ? { category_id: after.categoryId } : {}),
  } as Step["change"];
}

function wireMask({ size, counts }: Content["rle"]): components["schemas"]["Mask"] {
  return { size: [...size], counts };
}

function wireMade(made: Made): components["schemas"]["MadeIn"] {
  return {
    seconds: Math.round(made.seconds * 10) / 10,
    clicks: made.clicks,
    edits: made.edits,
    model_id: made.modelId,
    predicted_iou: made.predictedIou,
    stability_score: null,
    prompts: made.prompts,
    candidates: made.candidates,
  };
}

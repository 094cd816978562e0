/** What the browser knows of one mask of one object. */

import type { Mask } from "../geometry/mask";
import type { Rle } from "../geometry/rle";
import { decode } from "../geometry/rle";

/** How a mask came to be; what the engine learns from. */
export interface Made {
  /** Active time so far, idle time excluded. */
  readonly seconds: number;
  readonly clicks: number;
  /** Strokes of brush, eraser and lasso. */
  readonly edits: number;
  readonly modelId: string | null;
  readonly predictedIou: number | null;
  readonly prompts: unknown;
  readonly candidates: unknown;
}

/** What a person can change, and undo. Plain data, so that it can be kept and compared. */
export interface Content {
  readonly rle: Rle;
  readonly categoryId: number | null;
  readonly made: Made;
}

export interface Annotation {
  readonly id: string;
  readonly imageId: number;
  /** The server's number, or what it will be once everything on its way has arrived. */
  readonly version: number;
  /** Under a tombstone; `content` is then what restoring brings back. */
  readonly deleted: boolean;
  readonly content: Content;
  /** Made by a model alone, and nobody has looked at it yet. */
  readonly machine?: boolean;
  readonly review: string | null;
  readonly note: string | null;
  readonly changedBy: string;
}

/** What becomes of a model's mask that a person lets stand. */
export function kept(annotation: Annotation, author: string): Annotation {
  return { ...annotation, version: annotation.version + 1, machine: false, review: "accepted", changedBy: author };
}

export const BY_HAND: Made = {
  seconds: 0,
  clicks: 0,
  edits: 0,
  modelId: null,
  predictedIou: null,
  prompts: null,
  candidates: null,
};

const decoded = new WeakMap<Rle, Mask>();

/** The pixels of a mask; decoded once. */
export function maskOf(rle: Rle): Mask {
  let mask = decoded.get(rle);
  if (!mask) decoded.set(rle, (mask = decode(rle)));
  return mask;
}

/** Remember what run lengths were made from, so that nobody decodes them. */
export function remember(rle: Rle, mask: Mask): Rle {
  decoded.set(rle, mask);
  return rle;
}

export function sameContent(a: Content | null, b: Content | null): boolean {
  if (!a || !b) return a === b;
  return a.rle.counts === b.rle.counts && a.categoryId === b.categoryId;
}

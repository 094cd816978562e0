/**
 * Which objects stand out: asks the decoder all over the image, before anybody clicks.
 *
 * An object is prominent if it is large, near the middle, and the model is sure of it. The answers
 * are small and soon forgotten: what is kept is a point on each object, and their order.
 */

import type { Decoder } from "../decoder/client";
import type { Candidate } from "../decoder/messages";
import type { ImagePoint, Size } from "../geometry/frames";
import { imagePoint } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { area, contains, iou } from "../geometry/mask";

export interface Spot {
  /** A click here asks for the object. */
  readonly point: ImagePoint;
  /** Small: of the size that was asked for. */
  readonly mask: Mask;
  readonly prominence: number;
}

/** Points along each side of the image. */
const POINTS = 5;
/** Longer side of the masks that are looked at. */
const SMALL = 128;
/** Shares of the image: what is smaller stands out to nobody, what is larger is its ground. */
const [LEAST, MOST] = [0.004, 0.6];
/** IoU from which two answers are one object. */
const SAME = 0.5;

/**
 * Return the prominent objects, the most prominent first; none if it is given up meanwhile.
 *
 * @param turn - Waits until the next question is in nobody's way; false gives up.
 */
export async function findProminent(
  decoder: Decoder,
  imageKey: string,
  size: Size,
  turn: () => Promise<boolean>,
): Promise<Spot[]> {
  const found: Spot[] = [];
  for (const point of gridOf(size)) {
    if (!(await turn())) return [];
    const prompt = { clicks: [{ point, label: 1 as const }], box: null };
    const answer = await decoder.click({ imageKey, size, prompt, maskInput: null, longestSide: SMALL });
    found.push(...answer.flatMap((each) => spotOf(point, each, size) ?? []));
  }
  return distinct(found);
}

/** How much a mask stands out: 0 to about 1. */
export function prominenceOf(mask: Mask, predictedIou: number): number {
  const { width, height } = mask.size;
  const share = area(mask) / (width * height);
  if (share < LEAST || share > MOST) return 0;
  const { x0, y0, x1, y1 } = mask.box;
  const aside = Math.hypot((x0 + x1) / width - 1, (y0 + y1) / height - 1) / Math.SQRT2;
  return Math.max(0, predictedIou) * Math.sqrt(share) * (1 - aside / 2);
}

function gridOf({ width, height }: Size): ImagePoint[] {
  const places = Array.from({ length: POINTS }, (_, i) => (i + 0.5) / POINTS);
  return places.flatMap((y) => places.map((x) => imagePoint(x * width, y * height)));
}

function spotOf(point: ImagePoint, { mask, predictedIou }: Candidate, size: Size): Spot | undefined {
  const scale = mask.size.width / size.width;
  const prominence = prominenceOf(mask, predictedIou);
  const isOnIt = contains(mask, imagePoint(point.x * scale, point.y * scale));
  return prominence > 0 && isOnIt ? { point, mask, prominence } : undefined;
}

function distinct(spots: readonly Spot[]): Spot[] {
  const kept: Spot[] = [];
  for (const spot of [...spots].sort((a, b) => b.prominence - a.prominence)) {
    if (kept.every((each) => iou(each.mask, spot.mask) < SAME)) kept.push(spot);
  }
  return kept;
}

/**
 * A mask: the pixels of one object, kept only inside their own window.
 *
 * A photograph of twelve million pixels with three hundred small objects thus costs what the
 * objects cost. Masks are values: every operation returns a new one.
 */

import type { Box, ImagePoint, Size } from "./frames";
import { isEmptyBox, joinBoxes, shareBoxes } from "./frames";

export interface Mask {
  /** The image's. */
  readonly size: Size;
  /** The window, whole pixels; empty for an empty mask. */
  readonly box: Box;
  /** 0 or 1, row by row inside the window. */
  readonly pixels: Uint8Array;
}

const NOWHERE: Box = { x0: 0, y0: 0, x1: 0, y1: 0 };

export function emptyMask(size: Size): Mask {
  return { size, box: NOWHERE, pixels: new Uint8Array(0) };
}

export function boxWidth(box: Box): number {
  return Math.max(0, box.x1 - box.x0);
}

export function boxHeight(box: Box): number {
  return Math.max(0, box.y1 - box.y0);
}

export function area(mask: Mask): number {
  let count = 0;
  for (const pixel of mask.pixels) count += pixel;
  return count;
}

export function contains(mask: Mask, point: ImagePoint): boolean {
  return pixelAt(mask, Math.floor(point.x), Math.floor(point.y)) === 1;
}

export function pixelAt(mask: Mask, x: number, y: number): number {
  const { box } = mask;
  if (x < box.x0 || y < box.y0 || x >= box.x1 || y >= box.y1) return 0;
  return mask.pixels[(y - box.y0) * boxWidth(box) + (x - box.x0)] ?? 0;
}

/** Pixels in either. */
export function union(a: Mask, b: Mask): Mask {
  const box = joinBoxes(a.box, b.box);
  const pixels = windowOf(a, box);
  forShared(b, box, (i, pixel) => {
    if (pixel) pixels[i] = 1;
  });
  return { size: a.size, box, pixels };
}

/** Pixels of `a` that are not in `b`. */
export function subtract(a: Mask, b: Mask): Mask {
  const pixels = a.pixels.slice();
  forShared(b, a.box, (i, pixel) => {
    if (pixel) pixels[i] = 0;
  });
  return trimmed({ size: a.size, box: a.box, pixels });
}

/** Pixels in both. */
export function intersect(a: Mask, b: Mask): Mask {
  const box = shareBoxes(a.box, b.box);
  if (isEmptyBox(box)) return emptyMask(a.size);
  const pixels = windowOf(a, box);
  const other = windowOf(b, box);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (pixels[i] ?? 0) & (other[i] ?? 0);
  return trimmed({ size: a.size, box, pixels });
}

/** Intersection over union in [0, 1]; 1 for two empty masks, which are equal. */
export function iou(a: Mask, b: Mask): number {
  const shared = area(intersect(a, b));
  const all = area(a) + area(b) - shared;
  return all === 0 ? 1 : shared / all;
}

/** The same mask in its smallest window. */
export function trimmed(mask: Mask): Mask {
  const width = boxWidth(mask.box);
  const height = boxHeight(mask.box);
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    const row = mask.pixels.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    x0 = Math.min(x0, first);
    x1 = Math.max(x1, row.lastIndexOf(1) + 1);
    y0 = Math.min(y0, y);
    y1 = y + 1;
  }
  if (x1 <= x0) return emptyMask(mask.size);
  const { box } = mask;
  const inner = { x0: box.x0 + x0, y0: box.y0 + y0, x1: box.x0 + x1, y1: box.y0 + y1 };
  return { size: mask.size, box: inner, pixels: windowOf(mask, inner) };
}

/** A mask's pixels inside another window, 0 where it has none. */
export function windowOf(mask: Mask, box: Box): Uint8Array<ArrayBuffer> {
  const width = boxWidth(box);
  const pixels = new Uint8Array(width * boxHeight(box));
  const shared = shareBoxes(mask.box, box);
  if (isEmptyBox(shared)) return pixels;
  const from = boxWidth(mask.box);
  for (let y = shared.y0; y < shared.y1; y++) {
    const start = (y - mask.box.y0) * from + (shared.x0 - mask.box.x0);
    const row = mask.pixels.subarray(start, start + boxWidth(shared));
    pixels.set(row, (y - box.y0) * width + (shared.x0 - box.x0));
  }
  return pixels;
}

/** Visit the pixels of a mask that lie in a window, by their place in that window. */
function forShared(mask: Mask, box: Box, visit: (index: number, pixel: number) => void): void {
  const shared = shareBoxes(mask.box, box);
  const [from, to] = [boxWidth(mask.box), boxWidth(box)];
  for (let y = shared.y0; y < shared.y1; y++) {
    const start = (y - mask.box.y0) * from - mask.box.x0;
    const target = (y - box.y0) * to - box.x0;
    for (let x = shared.x0; x < shared.x1; x++) visit(target + x, mask.pixels[start + x] ?? 0);
  }
}

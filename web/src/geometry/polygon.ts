/** Polygons to pixels: a pixel belongs to a polygon if its centre lies inside (even-odd rule). */

import type { ImagePoint, Size } from "./frames";
import type { Mask } from "./mask";
import { boxWidth, emptyMask, trimmed } from "./mask";

/** Fill a closed polygon; what sticks out of the image is cut off. */
export function fillPolygon(points: readonly ImagePoint[], size: Size): Mask {
  if (points.length < 3) return emptyMask(size);
  const box = wholePixels(points, size);
  const width = boxWidth(box);
  if (width <= 0 || box.y1 <= box.y0) return emptyMask(size);
  const pixels = new Uint8Array(width * (box.y1 - box.y0));
  for (let y = box.y0; y < box.y1; y++) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(box.x0, Math.ceil(crossings[i]! - 0.5));
      const to = Math.min(box.x1, Math.ceil(crossings[i + 1]! - 0.5));
      const row = (y - box.y0) * width - box.x0;
      if (to > from) pixels.fill(1, row + from, row + to);
    }
  }
  return trimmed({ size, box, pixels });
}

function wholePixels(points: readonly ImagePoint[], size: Size) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  return {
    x0: Math.max(0, Math.floor(Math.min(...xs))),
    y0: Math.max(0, Math.floor(Math.min(...ys))),
    x1: Math.min(size.width, Math.ceil(Math.max(...xs))),
    y1: Math.min(size.height, Math.ceil(Math.max(...ys))),
  };
}

/** Where the polygon's sides cross a height, from left to right. */
function crossingsAt(points: readonly ImagePoint[], y: number): number[] {
  const crossings: number[] = [];
  let before = points[points.length - 1]!;
  for (const point of points) {
    if (before.y <= y !== point.y <= y) {
      crossings.push(before.x + ((y - before.y) / (point.y - before.y)) * (point.x - before.x));
    }
    before = point;
  }
  return crossings.sort((a, b) => a - b);
}

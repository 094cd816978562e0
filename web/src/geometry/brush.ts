/** Strokes to pixels: all pixels whose centre is at most a radius away from the stroke's path. */

import type { ImagePoint, Size } from "./frames";
import { clipBox } from "./frames";
import type { Mask } from "./mask";
import { boxWidth, emptyMask, trimmed } from "./mask";

/**
 * Paint along a path with a round brush.
 *
 * A brush thinner than a pixel still paints the pixel under the pointer.
 *
 * @param radius - Pixels of the image.
 */
export function paintStroke(path: readonly ImagePoint[], radius: number, size: Size): Mask {
  if (!path.length) return emptyMask(size);
  const reach = Math.max(radius, 0.5);
  const box = strokeBox(path, reach, size);
  const width = boxWidth(box);
  if (width <= 0 || box.y1 <= box.y0) return emptyMask(size);
  const mask = { size, box, pixels: new Uint8Array(width * (box.y1 - box.y0)) };
  let before = path[0]!;
  for (const point of path) {
    paintSegment(mask, before, point, reach);
    before = point;
  }
  for (const point of path) paintPixel(mask, point);
  return trimmed(mask);
}

function strokeBox(path: readonly ImagePoint[], reach: number, size: Size) {
  let box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (const { x, y } of path) {
    box = {
      x0: Math.min(box.x0, Math.floor(x - reach)),
      y0: Math.min(box.y0, Math.floor(y - reach)),
      x1: Math.max(box.x1, Math.ceil(x + reach) + 1),
      y1: Math.max(box.y1, Math.ceil(y + reach) + 1),
    };
  }
  return clipBox(box, size);
}

function paintPixel({ box, pixels }: Mask, point: ImagePoint): void {
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  if (x < box.x0 || y < box.y0 || x >= box.x1 || y >= box.y1) return;
  pixels[(y - box.y0) * boxWidth(box) + (x - box.x0)] = 1;
}

function paintSegment(mask: Mask, a: ImagePoint, b: ImagePoint, reach: number): void {
  const { box, pixels } = mask;
  const width = boxWidth(box);
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const near = strokeBox([a, b], reach, mask.size);
  for (let y = Math.max(near.y0, box.y0); y < Math.min(near.y1, box.y1); y++) {
    for (let x = Math.max(near.x0, box.x0); x < Math.min(near.x1, box.x1); x++) {
      const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
      const along = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
      const [ox, oy] = [px - along * dx, py - along * dy];
      if (ox * ox + oy * oy <= reach * reach) pixels[(y - box.y0) * width + (x - box.x0)] = 1;
    }
  }
}

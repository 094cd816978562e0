/**
 * Connected parts of a mask: islands, holes, and what a cut leaves.
 *
 * Islands touch at corners too (8-connectivity, as `remove_small_regions`); a hole is background that
 * does not reach the outside through sides (4-connectivity), so that a diagonal line closes it.
 */

import type { ImagePoint } from "./frames";
import type { Mask } from "./mask";
import { boxWidth, pixelAt, subtract, trimmed, union, windowOf } from "./mask";
import { paintStroke } from "./brush";

/** The part of a mask that a pixel belongs to; undefined where there is none. */
export function islandAt(mask: Mask, point: ImagePoint): Mask | undefined {
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  if (!pixelAt(mask, x, y)) return undefined;
  const found = flood(mask.pixels, boxWidth(mask.box), x - mask.box.x0, y - mask.box.y0, 1, true);
  return trimmed({ ...mask, pixels: found.pixels });
}

/** All parts, the largest first. */
export function islands(mask: Mask): Mask[] {
  const width = boxWidth(mask.box);
  const left = mask.pixels.slice();
  const found: { mask: Mask; count: number }[] = [];
  for (let i = left.indexOf(1); i >= 0; i = left.indexOf(1, i)) {
    const { pixels, count } = flood(left, width, i % width, Math.floor(i / width), 1, true);
    for (let j = i; j < left.length; j++) if (pixels[j]) left[j] = 0;
    found.push({ mask: trimmed({ ...mask, pixels }), count });
  }
  return found.sort((a, b) => b.count - a.count).map((each) => each.mask);
}

/** The hole that a pixel lies in; undefined in the mask itself and outside of it. */
export function holeAt(mask: Mask, point: ImagePoint): Mask | undefined {
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  const { box } = mask;
  if (x < box.x0 || y < box.y0 || x >= box.x1 || y >= box.y1 || pixelAt(mask, x, y)) {
    return undefined;
  }
  const found = flood(mask.pixels, boxWidth(box), x - box.x0, y - box.y0, 0, false);
  return found.touchesEdge ? undefined : trimmed({ ...mask, pixels: found.pixels });
}

/** A mask without holes. */
export function fillHoles(mask: Mask): Mask {
  const { box, size } = mask;
  // A rim of background round the window joins all that is outside.
  const around = { x0: box.x0 - 1, y0: box.y0 - 1, x1: box.x1 + 1, y1: box.y1 + 1 };
  const outside = flood(windowOf(mask, around), boxWidth(around), 0, 0, 0, false).pixels;
  const pixels = outside.map((pixel) => 1 - pixel);
  return trimmed({ size, box, pixels: windowOf({ size, box: around, pixels }, box) });
}

/**
 * Cut a mask in two along a line; pixels on the line go to the part they touch first.
 *
 * @returns The parts, the largest first; one if the line does not cut through.
 */
export function split(mask: Mask, line: readonly ImagePoint[]): Mask[] {
  const cut = paintStroke(line, 0.75, mask.size);
  const parts = islands(subtract(mask, cut));
  if (parts.length < 2) return [mask];
  const spare = subtract(mask, parts.reduce(union));
  const [first, ...rest] = parts;
  return [union(first!, spare), ...rest];
}


interface Flooded {
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly count: number;
  readonly touchesEdge: boolean;
}

/** Collect all pixels of a value that hang together with the one at x, y. */
function flood(
  source: Uint8Array,
  width: number,
  x: number,
  y: number,
  value: number,
  corners: boolean,
): Flooded {
  const height = source.length / width;
  const pixels = new Uint8Array(source.length);
  const waiting = [y * width + x];
  pixels[waiting[0]!] = 1;
  let [count, touchesEdge] = [0, false];
  while (waiting.length) {
    const at = waiting.pop()!;
    const [row, column] = [Math.floor(at / width), at % width];
    count++;
    if (!row || !column || row === height - 1 || column === width - 1) touchesEdge = true;
    for (let down = -1; down <= 1; down++) {
      for (let across = -1; across <= 1; across++) {
        if (!corners && down && across) continue;
        const [r, c] = [row + down, column + across];
        if (r < 0 || c < 0 || r >= height || c >= width) continue;
        const next = r * width + c;
        if (pixels[next] || source[next] !== value) continue;
        pixels[next] = 1;
        waiting.push(next);
      }
    }
  }
  return { pixels, count, touchesEdge };
}

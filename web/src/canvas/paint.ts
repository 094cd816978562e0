/**
 * Paints masks into one tile: translucent inside, a firm line along the edge.
 *
 * A tile is a square of `TILE` pixels of a level; at level n one of them stands for 2^n x 2^n pixels of
 * the image. Plain numbers in and out, so that a worker can do it and a test can look at it.
 */

import type { Box } from "../geometry/frames";
import { isEmptyBox, shareBoxes } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { boxWidth } from "../geometry/mask";

export const TILE = 512;

export interface Look {
  /** 0 to 1, inside. */
  readonly opacity: number;
  readonly outlines: boolean;
}

export interface Painted {
  readonly mask: Mask;
  /** r, g, b. */
  readonly colour: readonly [number, number, number];
  readonly selected: boolean;
  /** Nobody has looked at it: its line is broken, and its inside faint. */
  readonly machine?: boolean;
}

/** The part of the image that a tile shows. */
export function tileBox(level: number, column: number, row: number): Box {
  const side = TILE * 2 ** level;
  return { x0: column * side, y0: row * side, x1: (column + 1) * side, y1: (row + 1) * side };
}

/** Return a tile's RGBA pixels, row by row; null where no mask is. */
export function paintTile(
  masks: readonly Painted[],
  look: Look,
  level: number,
  column: number,
  row: number,
): Uint8ClampedArray<ArrayBuffer> | null {
  const box = tileBox(level, column, row);
  const here = masks.filter((each) => !isEmptyBox(shareBoxes(each.mask.box, box)));
  if (!here.length) return null;
  const pixels = new Uint8ClampedArray(TILE * TILE * 4);
  for (const each of here) paintMask(pixels, each, look, level, box);
  return pixels;
}

function paintMask(
  pixels: Uint8ClampedArray,
  { mask, colour, selected, machine }: Painted,
  look: Look,
  level: number,
  box: Box,
): void {
  const step = 2 ** level;
  const shared = shareBoxes(mask.box, box);
  const width = boxWidth(mask.box);
  const first = (value: number, origin: number) => Math.ceil((value - origin) / step);
  const inside = selected ? Math.min(1, look.opacity + 0.15) : look.opacity * (machine ? 0.5 : 1);
  const edge = look.outlines || selected ? (selected ? 1 : 0.9) : inside;
  const at = (x: number, y: number) =>
    x < mask.box.x0 || y < mask.box.y0 || x >= mask.box.x1 || y >= mask.box.y1
      ? 0
      : mask.pixels[(y - mask.box.y0) * width + (x - mask.box.x0)];
  for (let ty = first(shared.y0, box.y0); box.y0 + ty * step < shared.y1; ty++) {
    const y = box.y0 + ty * step;
    for (let tx = first(shared.x0, box.x0); box.x0 + tx * step < shared.x1; tx++) {
      const x = box.x0 + tx * step;
      if (!at(x, y)) continue;
      const isEdge = !(at(x - step, y) && at(x + step, y) && at(x, y - step) && at(x, y + step));
      const isGap = machine && ((tx + ty) >> 2) % 2 === 1;
      blend(pixels, (ty * TILE + tx) * 4, colour, isEdge && !isGap ? edge : inside);
    }
  }
}

/** Lay a colour over what is there. */
function blend(
  pixels: Uint8ClampedArray,
  i: number,
  [r, g, b]: readonly [number, number, number],
  opacity: number,
): void {
  const below = (pixels[i + 3]! / 255) * (1 - opacity);
  const sum = opacity + below;
  if (sum === 0) return;
  pixels[i] = (r * opacity + pixels[i]! * below) / sum;
  pixels[i + 1] = (g * opacity + pixels[i + 1]! * below) / sum;
  pixels[i + 2] = (b * opacity + pixels[i + 2]! * below) / sum;
  pixels[i + 3] = sum * 255;
}

/** Read #rrggbb. */
export function rgb(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

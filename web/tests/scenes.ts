/** Masks drawn as text, for tests: `#` is the object. */

import type { Mask } from "../src/geometry/mask";
import { pixelAt, trimmed } from "../src/geometry/mask";

export function drawn(...rows: string[]): Mask {
  const size = { width: rows[0]!.length, height: rows.length };
  const pixels = Uint8Array.from(rows.join(""), (sign) => (sign === "#" ? 1 : 0));
  return trimmed({ size, box: { x0: 0, y0: 0, x1: size.width, y1: size.height }, pixels });
}

export function shown(mask: Mask): string[] {
  return Array.from({ length: mask.size.height }, (_, y) =>
    Array.from({ length: mask.size.width }, (_, x) => (pixelAt(mask, x, y) ? "#" : ".")).join(""),
  );
}

/** A reproducible random mask. */
export function random(width: number, height: number, seed: number, share = 0.5): Mask {
  let state = seed * 2654435761 + 12345;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  next();
  const pixels = Uint8Array.from({ length: width * height }, () => (next() < share ? 1 : 0));
  return trimmed({ size: { width, height }, box: { x0: 0, y0: 0, x1: width, y1: height }, pixels });
}

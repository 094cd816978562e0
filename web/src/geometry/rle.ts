/**
 * COCO's compressed run lengths, as `rle.py` writes and reads them.
 *
 * Runs go down the columns and begin with background. Each number is written in groups of five bits,
 * lowest first; from the fourth number on it is the difference to the run two before.
 */

import type { Size } from "./frames";
import type { Mask } from "./mask";
import { boxHeight, boxWidth, emptyMask } from "./mask";

/** As on the wire: `size` is (height, width). */
export interface Rle {
  readonly size: readonly number[];
  readonly counts: string;
}

const FIRST_CHAR = 48;
const MORE = 32;

export function encode(mask: Mask): Rle {
  const { width, height } = mask.size;
  return { size: [height, width], counts: pack(runsOf(mask)) };
}

/**
 * @throws RangeError if the runs do not fill the image.
 */
export function decode(rle: Rle): Mask {
  const [height, width] = rle.size;
  if (height === undefined || width === undefined) throw new RangeError("a mask has no size");
  const size = { width, height };
  const runs = unpack(rle.counts);
  const total = runs.reduce((sum, run) => sum + run, 0);
  if (total !== width * height || runs.some((run) => run < 0)) {
    throw new RangeError(`runs add up to ${total}, not to ${width} x ${height}`);
  }
  return fromRuns(runs, size);
}

function runsOf(mask: Mask): number[] {
  const { box, pixels, size } = mask;
  const runs: number[] = [];
  const [width, height] = [boxWidth(box), boxHeight(box)];
  let [end, value] = [0, 0];
  const change = (at: number) => {
    runs.push(at - end);
    end = at;
    value ^= 1;
  };
  for (let x = 0; x < width; x++) {
    const column = (box.x0 + x) * size.height + box.y0;
    // Above and below the window there is background.
    if (value && box.y0 > 0) change(column - box.y0);
    for (let y = 0; y < height; y++) {
      if (pixels[y * width + x] !== value) change(column + y);
    }
    if (value && box.y1 < size.height) change(column + height);
  }
  const total = size.width * size.height;
  if (value && end < total) change(Math.min(box.x1 * size.height, total));
  if (end < total || runs.length === 0) runs.push(total - end);
  return runs;
}

function fromRuns(runs: readonly number[], size: Size): Mask {
  const spans: [number, number][] = [];
  let at = 0;
  runs.forEach((run, i) => {
    if (i % 2 && run) spans.push([at, at + run]);
    at += run;
  });
  if (!spans.length) return emptyMask(size);
  const { height } = size;
  const box = { x0: size.width, y0: height, x1: 0, y1: 0 };
  for (const [from, to] of spans) {
    const [first, last] = [Math.floor(from / height), Math.floor((to - 1) / height)];
    box.x0 = Math.min(box.x0, first);
    box.x1 = Math.max(box.x1, last + 1);
    // A run over a column's end holds that column's bottom and the next one's top.
    box.y0 = Math.min(box.y0, first === last ? from % height : 0);
    box.y1 = Math.max(box.y1, first === last ? ((to - 1) % height) + 1 : height);
  }
  const width = boxWidth(box);
  const pixels = new Uint8Array(width * boxHeight(box));
  for (const [from, to] of spans) {
    let [x, y] = [Math.floor(from / height), from % height];
    for (let i = from; i < to; i++) {
      pixels[(y - box.y0) * width + (x - box.x0)] = 1;
      if (++y === height) [x, y] = [x + 1, 0];
    }
  }
  return { size, box, pixels };
}

function pack(runs: readonly number[]): string {
  const codes: number[] = [];
  runs.forEach((run, i) => {
    let value = i > 2 ? run - runs[i - 2]! : run;
    for (let more = true; more; ) {
      const group = value & 31;
      value >>= 5;
      more = group & 16 ? value !== -1 : value !== 0;
      codes.push(FIRST_CHAR + group + (more ? MORE : 0));
    }
  });
  return codes.map((code) => String.fromCharCode(code)).join("");
}

function unpack(counts: string): number[] {
  const runs: number[] = [];
  let [value, shift] = [0, 0];
  for (let i = 0; i < counts.length; i++) {
    const code = counts.charCodeAt(i) - FIRST_CHAR;
    if (code < 0 || code > 63 || shift > 30) {
      throw new RangeError(`character ${i} of a mask's counts is not COCO's`);
    }
    value |= (code & 31) << shift;
    shift += 5;
    if (code & MORE) continue;
    if (code & 16 && shift < 32) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2]! : value);
    [value, shift] = [0, 0];
  }
  return runs;
}

/**
 * From the decoder's low-res logits to the pixels of the image: `low_res_to_original`, mirrored.
 *
 * Two bilinear steps, as in the reference: up to the padded input frame, then, after the padding
 * is cut off, to the original size. Only where some logit near is above the threshold is anything
 * computed, so a small object in a large photograph costs little.
 */

import type { Size } from "./frames";
import { preprocessSize } from "./frames";
import type { Mask } from "./mask";
import { emptyMask, pixelAt, trimmed } from "./mask";

/** What a mask that was drawn is told as: as sure as an answer of the decoder's can be. */
const SURE = 10;
/** Spots of a cell, each way, at which a mask is looked at. */
const SPOTS = 3;

/**
 * Turn a mask into low-res logits, as if the decoder had answered it: so a click can mend it.
 *
 * @param mask - Of the whole image.
 * @param low - Side of the logits.
 */
export function asLogits(mask: Mask, low: number): Float32Array<ArrayBuffer> {
  const logits = new Float32Array(low * low).fill(-SURE);
  const cell = Math.max(mask.size.width, mask.size.height) / low; // image pixels, each way
  const [first, last] = [(at: number) => Math.floor(at / cell), (at: number) => Math.min(low, Math.ceil(at / cell))];
  for (let y = first(mask.box.y0); y < last(mask.box.y1); y++) {
    for (let x = first(mask.box.x0); x < last(mask.box.x1); x++) {
      let inside = 0;
      for (let i = 0; i < SPOTS * SPOTS; i++) {
        const [across, down] = [(i % SPOTS) + 0.5, Math.floor(i / SPOTS) + 0.5];
        inside += pixelAt(mask, Math.floor((x + across / SPOTS) * cell), Math.floor((y + down / SPOTS) * cell));
      }
      logits[y * low + x] = ((2 * inside) / SPOTS ** 2 - 1) * SURE;
    }
  }
  return logits;
}

/** Count the logits above the threshold. */
export function cellsAbove(logits: Float32Array, threshold: number): number {
  let count = 0;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > threshold) count++;
  return count;
}

/** Where each output pixel of one axis lies between two input pixels. */
interface Taps {
  readonly first: Int32Array;
  readonly weight: Float32Array;
}

/**
 * Turn low-res logits into a mask.
 *
 * @param logits - `low` x `low` numbers over the padded square input frame.
 * @param low - Side of the logits.
 * @param inputSide - Side of the padded input frame, pixels.
 * @param size - The image's, pixels.
 * @param threshold - Cut-off in logits.
 */
export function upsample(
  logits: Float32Array,
  low: number,
  inputSide: number,
  size: Size,
  threshold = 0,
): Mask {
  const input = preprocessSize(size, inputSide);
  const near = positiveWindow(logits, low, threshold);
  if (!near) return emptyMask(size);
  const toInput = { x: taps(inputSide, low), y: taps(inputSide, low) };
  const toImage = { x: taps(size.width, input.width), y: taps(size.height, input.height) };
  const touched = {
    x: reach(toInput.x, near.x0, near.x1, input.width),
    y: reach(toInput.y, near.y0, near.y1, input.height),
  };
  // One more on each side: what the image's pixels at the rim read beside what is touched.
  const middle = { x: wider(touched.x, input.width), y: wider(touched.y, input.height) };
  const logitsThere = resample(logits, low, toInput, middle);
  const box = {
    x: reach(toImage.x, ...touched.x, size.width),
    y: reach(toImage.y, ...touched.y, size.height),
  };
  const stride = middle.x[1] - middle.x[0];
  const moved = { x: shifted(toImage.x, middle.x), y: shifted(toImage.y, middle.y) };
  const fine = resample(logitsThere, stride, moved, box);
  const pixels = new Uint8Array(fine.length);
  for (let i = 0; i < fine.length; i++) pixels[i] = fine[i]! > threshold ? 1 : 0;
  const [x0, x1] = box.x;
  const [y0, y1] = box.y;
  return trimmed({ size, box: { x0, y0, x1, y1 }, pixels });
}

/** Bilinear taps without aligned corners: the first of two neighbours, and the second's weight. */
function taps(output: number, input: number): Taps {
  const first = new Int32Array(output);
  const weight = new Float32Array(output);
  const scale = input / output;
  for (let i = 0; i < output; i++) {
    const at = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), input - 1);
    first[i] = Math.min(Math.floor(at), Math.max(input - 2, 0));
    weight[i] = at - (first[i] ?? 0);
  }
  return { first, weight };
}

type Span = readonly [number, number];

/** Which of the first `count` outputs read any of the inputs [from, to), as [begin, end). */
function reach(axis: Taps, from: number, to: number, count: number): Span {
  let begin = 0;
  while (begin < count && (axis.first[begin] ?? 0) + 1 < from) begin++;
  let end = count;
  while (end > begin && (axis.first[end - 1] ?? 0) >= to) end--;
  return [begin, end];
}

/** The cells above the threshold, as a window; none is no mask. */
function positiveWindow(logits: Float32Array, low: number, threshold: number) {
  let [x0, y0, x1, y1] = [low, low, 0, 0];
  for (let y = 0; y < low; y++) {
    for (let x = 0; x < low; x++) {
      if ((logits[y * low + x] ?? 0) <= threshold) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
      y0 = Math.min(y0, y);
      y1 = y + 1;
    }
  }
  return x1 > x0 ? { x0, y0, x1, y1 } : undefined;
}

function wider([from, to]: Span, limit: number): Span {
  return [Math.max(0, from - 1), Math.min(limit, to + 1)];
}

/** The same taps into a source of which only [from, to) is kept. */
function shifted(axis: Taps, [from, to]: Span): Taps {
  const first = axis.first.map((value) => Math.min(Math.max(value - from, 0), to - from - 1));
  return { first, weight: axis.weight };
}

function resample(
  source: Float32Array,
  stride: number,
  axes: { x: Taps; y: Taps },
  window: { x: Span; y: Span },
): Float32Array {
  const [x0, x1] = window.x;
  const [y0, y1] = window.y;
  const lastRow = source.length / stride - 1;
  const out = new Float32Array((x1 - x0) * (y1 - y0));
  let at = 0;
  for (let row = y0; row < y1; row++) {
    const first = axes.y.first[row]!;
    const top = first * stride;
    const bottom = Math.min(first + 1, lastRow) * stride;
    const down = axes.y.weight[row]!;
    for (let column = x0; column < x1; column++) {
      const left = axes.x.first[column]!;
      const right = left + 1 < stride ? left + 1 : left;
      const across = axes.x.weight[column]!;
      const above = source[top + left]! * (1 - across) + source[top + right]! * across;
      const below = source[bottom + left]! * (1 - across) + source[bottom + right]! * across;
      out[at++] = above * (1 - down) + below * down;
    }
  }
  return out;
}

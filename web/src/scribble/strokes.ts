/** Strokes on one image and their history: values, and functions that return new ones. */

import type { components } from "../api/types";
import type { ImagePoint } from "../geometry/frames";

export type Stroke = components["schemas"]["StrokeIO"];
/** A category's number; 0 is the background, null the eraser. */
export type Class = number | null;
export const BACKGROUND = 0;
export const ERASER = null;

export interface Drawing {
  readonly strokes: readonly Stroke[];
  readonly undone: readonly (readonly Stroke[])[];
  readonly before: readonly (readonly Stroke[])[];
}

const MOST = 5000;
const KEPT = 200;

export function begin(strokes: readonly Stroke[]): Drawing {
  return { strokes, undone: [], before: [] };
}

/** Any change of the strokes, which can be undone. */
export function change(drawing: Drawing, strokes: readonly Stroke[]): Drawing {
  return { strokes, undone: [], before: [...drawing.before, drawing.strokes].slice(-KEPT) };
}

export function undo(drawing: Drawing): Drawing {
  const last = drawing.before.at(-1);
  if (!last) return drawing;
  return { strokes: last, before: drawing.before.slice(0, -1), undone: [...drawing.undone, drawing.strokes] };
}

export function redo(drawing: Drawing): Drawing {
  const next = drawing.undone.at(-1);
  if (!next) return drawing;
  return { strokes: next, before: [...drawing.before, drawing.strokes], undone: drawing.undone.slice(0, -1) };
}

/**
 * Leave out the points of a line that lie nearer to the one before than `least` pixels: a pointer tells
 * of every step, and a stroke of four pixels does not need them.
 */
export function thinned(points: readonly ImagePoint[], least: number): [number, number][] {
  const kept: [number, number][] = [];
  points.forEach((point, at) => {
    const last = kept.at(-1);
    const isEnd = at === points.length - 1;
    if (last && Math.hypot(point.x - last[0], point.y - last[1]) < (isEnd ? 1e-6 : least)) return;
    kept.push([round(point.x), round(point.y)]);
  });
  return kept.slice(0, MOST);
}

/** Ours on top of theirs: what somebody else drew meanwhile stays, what both have is there once. */
export function merged(theirs: readonly Stroke[], ours: readonly Stroke[]): Stroke[] {
  const known = new Set(theirs.map((each) => JSON.stringify(each)));
  return [...theirs, ...ours.filter((each) => !known.has(JSON.stringify(each)))];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

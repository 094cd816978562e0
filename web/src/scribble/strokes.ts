/** Strokes on one image and their history: values, and functions that return new ones. */

import type { components } from "../api/types";
import type { ImagePoint, Size } from "../geometry/frames";
import { imagePoint } from "../geometry/frames";

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
/** Pixels to which points are rounded. */
const STEP = 0.1;

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

/** The nearest point of the image, of which the right and the lower edge are no part any more. */
export function within(point: ImagePoint, size: Size): ImagePoint {
  const clamped = (value: number, length: number) => Math.min(Math.max(value, 0), length - STEP);
  return imagePoint(clamped(point.x, size.width), clamped(point.y, size.height));
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

/**
 * What comes of two who changed the same strokes: what we took away or added since, done to theirs.
 *
 * @param base - The strokes that both began with.
 */
export function merged(base: readonly Stroke[], ours: readonly Stroke[], theirs: readonly Stroke[]): Stroke[] {
  const [before, now] = [base.map(key), ours.map(key)];
  const gone = without(before, now);
  const kept = theirs.filter((each) => !taken(gone, key(each)));
  // What is there already may be what we sent before a connection was lost; twice it would say no more.
  const known = [...before, ...without(theirs.map(key), before)];
  return [...kept, ...ours.filter((each) => !taken(known, key(each)))];
}

/** The same for a whole history, so that an undo takes back our strokes and nobody else's. */
export function rebased(drawing: Drawing, base: readonly Stroke[], theirs: readonly Stroke[]): Drawing {
  const onTheirs = (strokes: readonly Stroke[]) => merged(base, strokes, theirs);
  return {
    strokes: onTheirs(drawing.strokes),
    before: drawing.before.map(onTheirs),
    undone: drawing.undone.map(onTheirs),
  };
}

function key(stroke: Stroke): string {
  return JSON.stringify([stroke.category_id, stroke.width, stroke.points]);
}

/** What is in the first list and not in the second; equal ones count. */
function without(first: readonly string[], second: readonly string[]): string[] {
  const left = [...second];
  return first.filter((each) => !taken(left, each));
}

/** Take one from a list; tells whether it was there. */
function taken(list: string[], wanted: string): boolean {
  const at = list.indexOf(wanted);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

function round(value: number): number {
  return Math.round(value / STEP) / (1 / STEP);
}

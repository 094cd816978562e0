import { expect, test } from "vitest";
import { imagePoint } from "../../src/geometry/frames";
import type { Stroke } from "../../src/scribble/strokes";
import { begin, change, merged, rebased, redo, thinned, undo, within } from "../../src/scribble/strokes";

const stroke = (x: number): Stroke => ({ category_id: 1, width: 3, points: [[x, 2]] });

test("what was drawn is undone and redone, and a new stroke forgets what was undone", () => {
  let drawing = begin([stroke(1)]);
  drawing = change(drawing, [...drawing.strokes, stroke(2)]);
  drawing = change(drawing, []);
  expect(undo(drawing).strokes).toEqual([stroke(1), stroke(2)]);
  expect(redo(undo(drawing)).strokes).toEqual([]);
  const twice = undo(undo(drawing));
  expect(twice.strokes).toEqual([stroke(1)]);
  expect(undo(twice)).toBe(twice);
  const other = change(undo(drawing), [stroke(3)]);
  expect(redo(other)).toBe(other);
});

test("a line keeps its ends and loses the steps between that say nothing", () => {
  const line = Array.from({ length: 101 }, (_, i) => imagePoint(i / 10, 5));
  const kept = thinned(line, 2);
  expect(kept[0]).toEqual([0, 5]);
  expect(kept.at(-1)).toEqual([10, 5]);
  expect(kept.length).toBeLessThan(8);
  expect(thinned([imagePoint(3, 4)], 2)).toEqual([[3, 4]]);
  expect(thinned([imagePoint(3, 4), imagePoint(3, 4)], 2)).toEqual([[3, 4]]);
  expect(thinned(Array.from({ length: 20000 }, (_, i) => imagePoint(i, 0)), 0.5)).toHaveLength(5000);
});

test("a click on the last pixels lies on the image, also once it is rounded", () => {
  const size = { width: 512, height: 300 };
  const at = (x: number, y: number) => thinned([within(imagePoint(x, y), size)], 2);
  expect(at(511.97, 299.99)).toEqual([[511.9, 299.9]]);
  expect(at(600, -4)).toEqual([[511.9, 0]]);
  expect(at(3.14, 2.71)).toEqual([[3.1, 2.7]]);
});

test("of two who drew, both have their strokes, and what either took away stays away", () => {
  const [a, b, c, d] = [stroke(1), stroke(2), stroke(3), stroke(4)];
  expect(merged([a], [a, b], [a, c])).toEqual([a, c, b]);
  expect(merged([a, b], [a, b, c], [])).toEqual([c]);
  expect(merged([a, b], [b], [a, b, d])).toEqual([b, d]);
  expect(merged([a], [a, b], [a, b])).toEqual([a, b]);
  expect(merged([a, a], [a], [a, a])).toEqual([a]);
});

test("an undo after a merge takes back our stroke and not theirs", () => {
  const [ours, theirs, next] = [stroke(1), stroke(2), stroke(3)];
  const drawing = change(change(begin([]), [ours]), [ours, next]);
  const after = rebased(drawing, [ours], [ours, theirs]);
  expect(after.strokes).toEqual([ours, theirs, next]);
  expect(undo(after).strokes).toEqual([ours, theirs]);
  expect(redo(undo(after)).strokes).toEqual([ours, theirs, next]);
});

import { expect, test } from "vitest";
import type { Found } from "../../src/scribble/doubts";
import { mostDoubtful, tallied } from "../../src/scribble/doubts";

const look = (image_id: number, doubt: number, passed: boolean | null = null): Found => ({ image_id, doubt, passed, reasons: [], run: 1, seen: 1 });

test("the most doubtful of many images is offered, wherever it stands, but none that carries strokes", () => {
  const found = Array.from({ length: 1000 }, (_, i) => look(i + 1, i / 1000));
  expect(mostDoubtful(found, (id) => id === 1000)?.image_id).toBe(999);
  expect(mostDoubtful(found.toReversed(), () => false)?.image_id).toBe(1000);
  expect(mostDoubtful([look(7, 0)], () => false)?.image_id).toBe(7);
  expect(mostDoubtful(found, () => true)).toBeUndefined();
});

test("all images that pass or fail are counted, and none of which nothing is decided", () => {
  const found = Array.from({ length: 301 }, (_, i) => look(i, 0, i % 3 ? i % 3 === 1 : null));
  expect(tallied(found)).toEqual({ passed: 100, failed: 100 });
});

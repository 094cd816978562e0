import { expect, test } from "vitest";
import { changes, heat, ofClasses, paint } from "../../src/scribble/found";

test("grey values become colours, and what stands for nothing is clear", () => {
  const pixels = new Uint8ClampedArray([0, 0, 0, 255, 1, 1, 1, 255, 255, 255, 255, 255]);
  paint(pixels, ofClasses([undefined, [10, 20, 30]]));
  expect([...pixels]).toEqual([0, 0, 0, 0, 10, 20, 30, 150, 0, 0, 0, 0]);
});

test("doubt is clear where there is none, and red where there is much", () => {
  expect(heat(0)![3]).toBe(0);
  expect(heat(255)).toEqual([255, 0, 40, 210]);
  expect(heat(60)![1]).toBeGreaterThan(heat(200)![1]);
});

test("what rules took is red, what they gave is green", () => {
  expect(changes(0)).toBeUndefined();
  expect(changes(1)![0]).toBeGreaterThan(changes(1)![1]);
  expect(changes(2)![1]).toBeGreaterThan(changes(2)![0]);
});

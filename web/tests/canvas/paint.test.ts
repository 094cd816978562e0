import { expect, test } from "vitest";
import { paintTile, rgb, TILE } from "../../src/canvas/paint";
import { drawn } from "../scenes";

const LOOK = { opacity: 0.5, outlines: true };
const at = (pixels: Uint8ClampedArray, x: number, y: number) => [...pixels.slice((y * TILE + x) * 4, (y * TILE + x) * 4 + 4)];
const red = (selected = false) => ({ mask: drawn("#####", "#####", "#####", "....."), colour: rgb("#ff0000"), selected });

test("the edge is firm, the inside can be looked through, the outside is empty", () => {
  const pixels = paintTile([red()], LOOK, 0, 0, 0)!;
  expect(at(pixels, 0, 0)).toEqual([255, 0, 0, 230]);
  expect(at(pixels, 2, 1)).toEqual([255, 0, 0, 128]);
  expect(at(pixels, 2, 3)).toEqual([0, 0, 0, 0]);
});

test("without outlines the edge is as the inside", () => {
  const pixels = paintTile([red()], { opacity: 0.5, outlines: false }, 0, 0, 0)!;
  expect(at(pixels, 0, 0)).toEqual(at(pixels, 2, 1));
});

test("the later mask lies above", () => {
  const blue = { mask: drawn("...", "#..", "..."), colour: rgb("#0000ff"), selected: true };
  const [r, , b] = at(paintTile([red(), blue], LOOK, 0, 0, 0)!, 0, 1);
  expect(b).toBe(255);
  expect(r).toBe(0);
});

test("where no mask is, there is no tile", () => {
  expect(paintTile([red()], LOOK, 0, 1, 0)).toBeNull();
});

test("a coarser level shows every second pixel", () => {
  const pixels = paintTile([red()], LOOK, 1, 0, 0)!;
  expect(at(pixels, 2, 1)[3]).toBeGreaterThan(0);
  expect(at(pixels, 0, 2)[3]).toBe(0);
});

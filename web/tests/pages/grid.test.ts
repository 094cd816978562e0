import { expect, test } from "vitest";
import { Blocks, layOut } from "../../src/pages/grid";

test("of 100,000 images only those in sight are laid out", () => {
  const grid = layOut(100_000, 1200, 700, 50_000, 200);
  expect(grid.columns).toBe(6);
  expect(grid.last - grid.first).toBeLessThan(80);
  const row = Math.floor(50_000 / grid.cellHeight);
  expect(grid.first).toBeLessThanOrEqual(row * 6);
  expect(grid.last).toBeGreaterThan((row + 4) * 6);
  expect([grid.firstSeen, grid.lastSeen]).toEqual([row, Math.floor(50_700 / grid.cellHeight)]);
  expect(grid.first).toBeLessThan(grid.firstSeen * 6);
  expect(grid.last).toBeGreaterThan((grid.lastSeen + 1) * 6);
});

test("the last row ends where the images end", () => {
  expect(layOut(7, 1000, 700, 0, 300)).toMatchObject({ columns: 3, first: 0, last: 7 });
  expect(layOut(0, 1000, 700, 0, 300)).toMatchObject({ height: 0, last: 0 });
});

test("blocks are fetched once, when the scrolling pauses", async () => {
  const asked: number[] = [];
  const blocks = new Blocks(10, (offset) => (asked.push(offset), Promise.resolve([offset])), () => undefined);
  blocks.need(0, 5);
  blocks.need(25, 35);
  blocks.need(25, 35);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(asked).toEqual([20, 30]);
  expect(blocks.at(20)).toBe(20);
  expect(blocks.at(0)).toBeUndefined();
});

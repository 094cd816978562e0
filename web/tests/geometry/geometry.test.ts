import { describe, expect, test } from "vitest";
import { boxOf, imagePoint, preprocessSize, screenPoint } from "../../src/geometry/frames";
import { fit, keepInSight, pan, toImage, toScreen, wheelFactor, zoomAt } from "../../src/geometry/view";
import { area, intersect, iou, subtract, union } from "../../src/geometry/mask";
import { fillPolygon } from "../../src/geometry/polygon";
import { paintStroke } from "../../src/geometry/brush";
import { fillHoles, holeAt, islandAt, islands, split } from "../../src/geometry/regions";
import { asLogits, upsample } from "../../src/geometry/upsample";
import { drawn, random, shown } from "../scenes";

describe("frames and views", () => {
  test("a turn of the wheel zooms, in lines further than in pixels, and back again", () => {
    const turn = { deltaY: -100, deltaMode: 0, ctrlKey: false };
    expect(wheelFactor(turn)).toBeGreaterThan(1);
    expect(wheelFactor({ ...turn, deltaMode: 1 })).toBeGreaterThan(wheelFactor(turn));
    expect(wheelFactor({ ...turn, ctrlKey: true })).toBeGreaterThan(wheelFactor(turn));
    expect(wheelFactor(turn) * wheelFactor({ ...turn, deltaY: 100 })).toBeCloseTo(1);
  });

  test("the longer side becomes the input side, halves round up", () => {
    expect(preprocessSize({ width: 640, height: 480 }, 1024)).toEqual({ width: 1024, height: 768 });
    expect(preprocessSize({ width: 3, height: 1000 }, 384)).toEqual({ width: 1, height: 384 });
  });

  test("a box drawn from any corner is the same", () => {
    const box = { x0: 1, y0: 2, x1: 5, y1: 9 };
    expect(boxOf(imagePoint(5, 2), imagePoint(1, 9))).toEqual(box);
  });

  test("screen and image frames are each other's inverse", () => {
    const view = { scale: 2.5, x: -30, y: 12 };
    const point = toImage(view, toScreen(view, imagePoint(17, 4)));
    expect(point.x).toBeCloseTo(17);
    expect(point.y).toBeCloseTo(4);
  });

  test("zooming keeps what lies under the pointer", () => {
    const image = { width: 400, height: 300 };
    const view = fit(image, { width: 1000, height: 700 });
    const at = screenPoint(320, 180);
    const before = toImage(view, at);
    const after = toImage(zoomAt(view, at, 3, image), at);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  test("an image cannot be lost by panning", () => {
    const screen = { width: 500, height: 400 };
    const view = keepInSight(pan({ scale: 1, x: 0, y: 0 }, 9999, -9999), screen, screen);
    expect(view.x).toBeLessThan(500);
    expect(view.y).toBeGreaterThan(-400);
  });
});

describe("masks", () => {
  const a = drawn("##..", "##..", "....");
  const b = drawn("....", ".##.", ".##.");

  test("union, difference and intersection", () => {
    expect(shown(union(a, b))).toEqual(["##..", "###.", ".##."]);
    expect(shown(subtract(a, b))).toEqual(["##..", "#...", "...."]);
    expect(shown(intersect(a, b))).toEqual(["....", ".#..", "...."]);
    expect(iou(a, b)).toBeCloseTo(1 / 7);
  });

  test("areas of union and intersection add up, on random masks", () => {
    for (let seed = 0; seed < 20; seed++) {
      const [c, d] = [random(13, 7, seed), random(13, 7, seed + 100, 0.2)];
      expect(area(union(c, d)) + area(intersect(c, d))).toBe(area(c) + area(d));
      expect(area(subtract(c, d)) + area(intersect(c, d))).toBe(area(c));
    }
  });
});

describe("polygons and strokes", () => {
  test("a polygon holds the pixels whose centres it holds", () => {
    const square = [imagePoint(1, 1), imagePoint(4, 1), imagePoint(4, 3), imagePoint(1, 3)];
    const size = { width: 6, height: 4 };
    expect(shown(fillPolygon(square, size))).toEqual(["......", ".###..", ".###..", "......"]);
  });

  test("a polygon may stick out of the image", () => {
    const large = [imagePoint(-5, -5), imagePoint(20, -5), imagePoint(20, 20), imagePoint(-5, 20)];
    expect(area(fillPolygon(large, { width: 6, height: 4 }))).toBe(24);
  });

  test("the thinnest brush paints the pixel under the pointer", () => {
    const size = { width: 4, height: 3 };
    expect(shown(paintStroke([imagePoint(2.1, 1.9)], 0.1, size))).toEqual(["....", "..#.", "...."]);
  });

  test("a stroke has no gaps, however fast the pointer", () => {
    const stroke = paintStroke([imagePoint(1.5, 1.5), imagePoint(8.5, 1.5)], 1, { width: 10, height: 3 });
    expect(shown(stroke)).toEqual([".########.", "##########", ".########."]);
  });
});

describe("regions", () => {
  const ring = drawn("#####..", "#...#.#", "#.#.#.#", "#...#..", "#####..");

  test("islands come largest first", () => {
    expect(islands(ring).map(area)).toEqual([16, 2, 1]);
  });

  test("one island is found by a point on it", () => {
    expect(area(islandAt(ring, imagePoint(6.5, 1.5))!)).toBe(2);
    expect(islandAt(ring, imagePoint(1.5, 1.5))).toBeUndefined();
  });

  test("a hole is found by a point in it, the outside is none", () => {
    expect(area(holeAt(ring, imagePoint(1.2, 1.2))!)).toBe(8);
    expect(holeAt(ring, imagePoint(5.5, 0.5))).toBeUndefined();
  });

  test("a diagonal line closes a hole", () => {
    const diamond = drawn(".#.", "#.#", ".#.");
    expect(shown(fillHoles(diamond))).toEqual([".#.", "###", ".#."]);
  });

  test("filling holes leaves the rest", () => {
    expect(shown(fillHoles(ring))).toEqual(["#####..", "#####.#", "#####.#", "#####..", "#####.."]);
  });

  test("a cut makes two of one and loses no pixel", () => {
    const bar = drawn("..........", ".########.", ".########.", "..........");
    const parts = split(bar, [imagePoint(4.5, -1), imagePoint(4.5, 5)]);
    expect(parts).toHaveLength(2);
    expect(area(parts[0]!) + area(parts[1]!)).toBe(16);
    expect(area(intersect(parts[0]!, parts[1]!))).toBe(0);
  });

  test("a cut that does not go through changes nothing", () => {
    const bar = drawn("####", "####");
    expect(split(bar, [imagePoint(1, 0), imagePoint(1, 0.5)])).toEqual([bar]);
  });
});

describe("logits", () => {
  test.each([
    [64, 48],
    [48, 64],
    [400, 300],
  ])("a drawn mask of %i x %i comes back as it was told", (width, height) => {
    const [x, y, r] = [width / 3, height / 2, Math.min(width, height) / 4];
    const corners = Array.from({ length: 40 }, (_, i) => imagePoint(x + r * Math.cos(i / 6.366), y + r * Math.sin(i / 6.366)));
    const disc = fillPolygon(corners, { width, height });
    const back = upsample(asLogits(disc, 96), 96, 384, { width, height });
    expect(iou(back, disc)).toBeGreaterThan(0.93);
  });
});

import { describe, expect, test } from "vitest";
import { decode, encode } from "../../src/geometry/rle";
import { area, emptyMask, iou } from "../../src/geometry/mask";
import { upsample } from "../../src/geometry/upsample";
import cases from "../../../tests/web_cases.json";
import { drawn, random, shown } from "../scenes";

describe("run lengths", () => {
  test("what is written is read again, whatever the shape", () => {
    for (let seed = 0; seed < 200; seed++) {
      const mask = random(1 + (seed % 11), 1 + (seed % 7), seed, (seed % 10) / 9);
      expect(shown(decode(encode(mask)))).toEqual(shown(mask));
    }
  });

  test("full and empty masks", () => {
    const full = drawn("##", "##", "##");
    expect(shown(decode(encode(full)))).toEqual(shown(full));
    expect(area(decode(encode(emptyMask({ width: 4, height: 3 }))))).toBe(0);
  });

  test.each(cases.masks)("Python writes the same: $name", ({ rows, counts }) => {
    expect(encode(drawn(...rows)).counts).toBe(counts);
    expect(shown(decode({ size: [rows.length, rows[0]!.length], counts }))).toEqual(rows);
  });

  test("runs that do not fill the image are refused", () => {
    expect(() => decode({ size: [2, 2], counts: "3" })).toThrow("not to 2 x 2");
    expect(() => decode({ size: [2, 2], counts: "~" })).toThrow("COCO");
  });
});

describe("upsampling", () => {
  test.each(cases.upsampled)("as Python does: $width x $height", (each) => {
    const { width, height, low, input_side: inputSide } = each;
    const mask = upsample(Float32Array.from(each.logits), low, inputSide, { width, height });
    const expected = decode({ size: [height, width], counts: each.counts });
    // Sums are rounded in another order: a pixel exactly on the threshold may fall either way.
    expect(iou(mask, expected)).toBeGreaterThan(0.999);
  });

  test("nothing above the threshold is no mask", () => {
    const size = { width: 9, height: 5 };
    expect(upsample(new Float32Array(16).fill(-1), 4, 16, size)).toEqual(emptyMask(size));
  });
});

import { describe, expect, test } from "vitest";
import { maskOf } from "../../src/document/annotation";
import { imagePoint } from "../../src/geometry/frames";
import { encode } from "../../src/geometry/rle";
import { annotation, Pretend } from "../pretend";
import { drawn, shown } from "../scenes";

const TWO_AS_ONE = ["........", ".######.", ".######.", "........"];
const FIRST = ["........", ".###....", ".###....", "........"];
const REST = ["........", "....###.", "....###.", "........"];

function offering(...rows: string[]) {
  return [{ mask: encode(drawn(...rows)), score: 0.8 }];
}

describe("regions that are offered", () => {
  test("a click in one brings it up, and Tab the decoder's masks", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(2, 1);
    const { prompting } = it.editor;
    expect(prompting.candidates.map((each) => Boolean(each.isOffered))).toEqual([true, false, false, false]);
    expect(shown(prompting.candidate!.mask)).toEqual(TWO_AS_ONE);
    expect(it.decoder.questions.map((each) => each.maskInput)).toEqual([null]);
    prompting.cycle(1);
    expect(prompting.candidate!.isOffered).toBeFalsy();
    prompting.cycle(-1);
    it.editor.finish();
    expect(it.picture).toEqual(TWO_AS_ONE);
    expect(it.last.content.made).toMatchObject({ predictedIou: 0.8, clicks: 1, candidates: { offered: true, taken: 0 } });
  });

  test("beside them the decoder answers alone", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(0, 3);
    expect(it.editor.prompting.candidates).toHaveLength(3);
  });

  test("what a mask covers is cut away: the second of two objects is what is left", async () => {
    const it = new Pretend(8, 4, [annotation("first", ...FIRST)]);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(5, 1);
    it.editor.finish();
    expect(shown(maskOf(it.last.content.rle))).toEqual(REST);
  });

  test("a rejected mask covers nothing, and a rim is no offer", () => {
    const rejected = { ...annotation("first", ...FIRST), review: "rejected" };
    const it = new Pretend(8, 4, [rejected]);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    expect(shown(it.offers.at(imagePoint(2, 1))!.mask)).toEqual(TWO_AS_ONE);
    const nearly = new Pretend(8, 4, [annotation("most", "........", ".#####..", ".#####..", "........")]);
    nearly.offers.know(offering(...TWO_AS_ONE), 4);
    expect(nearly.offers.at(imagePoint(6, 1))).toBeUndefined();
  });

  test("a further click beside it adds, and the decoder is told of the region", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(2, 1);
    await it.click(7, 3);
    const { maskInput, prompt } = it.decoder.questions.at(-1)!;
    expect(prompt.clicks).toHaveLength(2);
    expect(maskInput).toHaveLength(16);
    expect(Math.max(...maskInput!)).toBeGreaterThan(0);
    it.editor.finish();
    expect(it.picture).toEqual([".###....", ".######.", ".#######", "......##"]);
  });

  test("a further click in it changes nothing", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(2, 1);
    await it.click(2, 1);
    it.editor.finish();
    expect(it.picture).toEqual(TWO_AS_ONE);
  });

  test("taking away only ever takes away", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(2, 1);
    await it.click(5, 1, "alt");
    it.editor.finish();
    const kept = it.picture.join("").split("");
    const outlined = TWO_AS_ONE.join("").split("");
    expect(kept.every((sign, i) => sign === "." || outlined[i] === "#")).toBe(true);
    expect(kept.filter((sign) => sign === "#").length).toBeLessThan(12);
    expect(it.picture[1]![5]).toBe(".");
  });

  test("it can be kept before the decoder has answered, and so can the next", async () => {
    const it = new Pretend(8, 4);
    it.offers.know([...offering(...FIRST), ...offering(...REST)], 4);
    for (const x of [2, 5]) {
      it.press(x, 1).release(x, 1);
      it.editor.finish();
    }
    expect(it.areas).toEqual([6, 6]);
    await it.answered();
    expect(it.editor.prompting.isEmpty).toBe(true);
  });

  test("taken back before the decoder has answered, it does not come again", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...FIRST), 4);
    it.press(2, 1).release(2, 1);
    it.editor.prompting.cycle(1);
    await it.answered();
    expect(it.editor.prompting.candidates).toHaveLength(4);
    it.editor.prompting.clear();
    it.press(2, 1).release(2, 1);
    it.editor.prompting.undo();
    await it.answered();
    expect(it.editor.prompting.isEmpty).toBe(true);
  });

  test("what somebody else has kept meanwhile is cut away when it is kept", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    await it.click(5, 1);
    it.document.receive(annotation("theirs", ...FIRST));
    it.editor.finish();
    expect(shown(maskOf(it.last.content.rle))).toEqual(REST);
  });

  test("a hover shows the region, and asks nobody", async () => {
    const it = new Pretend(8, 4);
    it.offers.know(offering(...TWO_AS_ONE), 4);
    it.move(2, 1).move(3, 1);
    await it.answered();
    expect(it.decoder.questions).toEqual([]);
    expect(shown(it.editor.prompting.hovered!.mask)).toEqual(TWO_AS_ONE);
    it.move(0, 3);
    await it.answered();
    expect(it.decoder.questions).toHaveLength(1);
  });

  test("they are gone through one by one, the most prominent first", () => {
    const it = new Pretend(8, 4);
    it.offers.know([
      { mask: encode(drawn("........", ".#......", "........", "........")), score: 0.9 },
      { mask: encode(drawn("........", "....###.", "....###.", "........")), score: 0.8 },
    ], 4);
    expect(it.offers.spots().map((spot) => spot.point)).toEqual([imagePoint(5.5, 2.5), imagePoint(1.5, 1.5)]);
  });
});

import { describe, expect, test } from "vitest";
import { Pretend } from "../pretend";

describe("clicks", () => {
  test("a hover shows what a click would give, and keeps nothing", async () => {
    const it = new Pretend().move(8, 8);
    await it.answered();
    expect(it.editor.shapes()).toMatchObject([{ kind: "mask", role: "hint" }]);
    expect(it.areas).toEqual([]);
  });

  test("a click takes the candidate that the model thinks best", async () => {
    const it = await new Pretend().click(8, 8);
    expect(it.editor.prompting.candidates.map((each) => each.predictedIou)).toEqual([0.7, 0.8, 0.9]);
    it.editor.finish();
    expect(it.areas).toEqual([9]);
  });

  test("Tab goes through whole, part and sub-part, and round again", async () => {
    const it = await new Pretend().click(8, 8);
    it.editor.prompting.cycle(1);
    it.editor.finish();
    await it.click(18, 8);
    it.editor.prompting.cycle(-1);
    it.editor.finish();
    expect(it.areas).toEqual([81, 25]);
  });

  test("a second click adds, alt takes away, and the answer before goes along", async () => {
    const it = await new Pretend().click(4, 4);
    await it.click(10, 4);
    await it.click(4, 4, "alt");
    expect(it.decoder.questions.map((each) => each.maskInput?.length ?? 0)).toEqual([0, 1, 1]);
    it.editor.finish();
    expect(it.areas).toEqual([9]);
  });

  test("a box is mended with clicks: another way to ask goes on with the same object", async () => {
    const it = new Pretend();
    it.use("box").drag([2, 2], [10, 10]);
    await it.answered();
    await it.use("point").click(4, 4, "alt");
    expect(it.areas).toEqual([]);
    expect(it.decoder.questions.at(-1)?.prompt).toMatchObject({ box: { x0: 2 }, clicks: [{ label: 0 }] });
    it.use("brush");
    expect(it.areas).toHaveLength(1);
  });

  test("taking away comes after adding", async () => {
    const it = await new Pretend().click(4, 4, "alt");
    expect(it.said).toEqual(["point.subtract-first"]);
  });

  test("a drag is a box", async () => {
    const it = await new Pretend().drag([4, 4], [10, 10]);
    expect(it.editor.prompting.prompt.box).toEqual({ x0: 4, y0: 4, x1: 10, y1: 10 });
  });

  test("undo takes clicks back one by one, redo brings them again, escape all", async () => {
    const it = await new Pretend().click(4, 4);
    await it.click(10, 4);
    it.editor.undo();
    expect(it.editor.prompting.prompt.clicks).toHaveLength(1);
    it.editor.redo();
    expect(it.editor.prompting.prompt.clicks).toHaveLength(2);
    it.editor.escape();
    expect(it.editor.prompting.isEmpty).toBe(true);
    expect(it.areas).toEqual([]);
  });

  test("turbo commits on click, and undo is the oops", async () => {
    const it = new Pretend();
    it.editor.turbo = true;
    await it.click(4, 4);
    await it.click(14, 4);
    expect(it.areas).toEqual([9, 9]);
    it.editor.undo();
    expect(it.areas).toEqual([9]);
  });

  test("a box is dragged, or two corners are clicked", async () => {
    const dragged = await new Pretend().use("box").drag([4, 4], [12, 12]);
    const clicked = await new Pretend().use("box").click(4, 4);
    await clicked.click(12, 12);
    for (const it of [dragged, clicked]) {
      expect(it.editor.prompting.prompt.box).toEqual({ x0: 4, y0: 4, x1: 12, y1: 12 });
    }
  });

  test("a mask knows its clicks, its time without idling, its candidate and its model", async () => {
    const it = new Pretend().move(1, 1).wait(2).move(2, 2).wait(600);
    await it.click(4, 4);
    it.wait(1);
    await it.click(8, 4);
    it.editor.finish();
    const { made } = it.last.content;
    expect(made).toMatchObject({ clicks: 2, edits: 0, modelId: "pretend" });
    expect(made.seconds).toBe(2 + 5 + 1);
    expect(made.prompts).toEqual({ points: [[4, 4, 1], [8, 4, 1]], box: null });
  });
});

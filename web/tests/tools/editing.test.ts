import { describe, expect, test } from "vitest";
import { annotation, Pretend } from "../pretend";

const ROWS = ["......", ".####.", ".#..#.", ".####.", "......", ".#...."];

describe("brush and eraser", () => {
  test("a stroke on nothing makes a mask; the next one adds to it", async () => {
    const it = await new Pretend(12, 4).use("brush").drag([1.5, 1.5], [4.5, 1.5]);
    await it.drag([7.5, 1.5], [8.5, 1.5]);
    expect(it.picture).toEqual([".####..##...", "##########..", ".####..##...", "............"]);
    expect(it.last.content.made.edits).toBe(2);
  });

  test("the eraser takes away, and alt turns a brush into one", async () => {
    const it = await new Pretend(12, 4).use("brush").drag([1.5, 1.5], [8.5, 1.5]);
    await it.use("eraser").drag([0.5, 0.5], [3.5, 0.5]);
    await it.use("brush").drag([8.5, 2.5], [9.5, 2.5], "alt");
    expect(it.picture).toEqual([".....####...", "....####....", ".######.....", "............"]);
  });

  test("what is erased completely is deleted, and undo brings it back", async () => {
    const it = await new Pretend(8, 4).use("brush").click(2, 2);
    it.editor.brushRadius = 9;
    await it.use("eraser").click(2, 2);
    expect(it.areas).toEqual([]);
    it.editor.undo();
    expect(it.areas).toHaveLength(1);
    expect(it.sent.at(-1)!.steps).toEqual([{ id: "id-1", change: { kind: "restore", base_version: 2 } }]);
  });

  test("the brush goes on with what was asked for", async () => {
    const it = await new Pretend().click(8, 8);
    await it.use("brush").drag([10.5, 8.5], [14.5, 8.5]);
    expect(it.areas).toHaveLength(1);
    expect(it.last.content.made).toMatchObject({ clicks: 1, edits: 1, predictedIou: 0.9 });
  });

  test("escape gives a stroke up", () => {
    const it = new Pretend().use("brush").press(2, 2).move(9, 9);
    it.editor.escape();
    expect(it.release(9, 9).areas).toEqual([]);
  });

  test("the eraser without a mask says what to do", async () => {
    const it = await new Pretend().use("eraser").click(2, 2);
    expect(it.said).toEqual(["brush.select-first"]);
  });
});

describe("lasso", () => {
  test("clicked corners, closed at the first one", async () => {
    const it = new Pretend(30, 30).use("lasso");
    await it.click(2, 2);
    await it.click(20, 2);
    await it.click(20, 22);
    await it.click(2, 22);
    await it.click(3, 3);
    expect(it.areas).toEqual([18 * 20]);
  });

  test("enter closes it, alt takes away", async () => {
    const it = new Pretend(40, 40).use("lasso");
    for (const corner of [[0, 0], [30, 0], [30, 30], [0, 30]]) await it.click(corner[0]!, corner[1]!);
    it.editor.finish();
    for (const corner of [[10, 10], [20, 10], [20, 20]]) await it.click(corner[0]!, corner[1]!, "alt");
    it.editor.finish();
    expect(it.areas).toEqual([900 - 55]);
  });

  test("drawn freely, it closes where the button is let go", () => {
    const it = new Pretend(40, 40).use("lasso").press(0, 0);
    it.move(20, 0).move(20, 10).move(20, 20).move(0, 20).release(0, 20);
    expect(it.areas).toEqual([400]);
  });
});

describe("regions", () => {
  test("a hole is filled by a click into it", async () => {
    const it = new Pretend(6, 6, [annotation("a", ...ROWS)]);
    it.editor.select("a");
    await it.use("fill-hole").click(2.5, 2.5);
    expect(it.picture[2]).toBe(".####.");
  });

  test("an island is dropped by a click onto it", async () => {
    const it = new Pretend(6, 6, [annotation("a", ...ROWS)]);
    await it.use("drop-island").click(1.5, 5.5);
    expect(it.picture[5]).toBe("......");
    await it.click(0.5, 0.5);
    expect(it.said).toEqual(["region.no-island"]);
  });

  test("where there is no hole, it says so", async () => {
    const it = new Pretend(6, 6, [annotation("a", ...ROWS)]);
    it.editor.select("a");
    await it.use("fill-hole").click(0.5, 0.5);
    expect(it.said).toEqual(["region.no-hole"]);
  });
});

describe("split and merge", () => {
  const bar = annotation("bar", "........", ".######.", ".######.", "........");

  test("a line through a mask makes two; one undo makes them one", async () => {
    const it = new Pretend(8, 4, [bar]);
    await it.use("split").drag([4, -1], [4, 5]);
    expect(it.areas.reduce((sum, area) => sum + area)).toBe(12);
    expect(it.areas).toHaveLength(2);
    expect(it.sent).toHaveLength(1);
    it.editor.undo();
    expect(it.areas).toEqual([12]);
  });

  test("a line that ends inside changes nothing and says so", async () => {
    const block = annotation("block", ...Array<string>(6).fill("########"));
    const it = new Pretend(8, 6, [block]);
    await it.use("split").drag([4, -1], [4, 3]);
    expect(it.areas).toEqual([48]);
    expect(it.said).toEqual(["split.not-through"]);
  });

  test("merge joins the second mask to the first, as one operation", async () => {
    const it = new Pretend(8, 4, [bar, annotation("dot", "........", "........", "........", "#.......")]);
    await it.use("merge").click(3, 1);
    await it.click(0, 3);
    expect(it.areas).toEqual([13]);
    expect(it.sent.at(-1)!.steps.map((step) => step.change.kind)).toEqual(["put", "delete"]);
    it.editor.undo();
    expect(it.areas).toEqual([12, 1]);
  });
});

describe("selecting and looking", () => {
  test("the smaller of two masks is reached, a click beside them lets go", async () => {
    const whole = annotation("whole", "########", "########", "########", "########");
    const it = new Pretend(8, 4, [whole, annotation("part", "........", "..##....", "........", "........")]);
    await it.use("select").click(2, 1);
    expect(it.editor.selected?.id).toBe("part");
    await it.click(7, 3);
    expect(it.editor.selected?.id).toBe("whole");
  });

  test("the view follows a dragging hand", async () => {
    const it = new Pretend(100, 100);
    it.editor.camera.screen = { width: 500, height: 500 };
    it.editor.camera.view = { scale: 4, x: 0, y: 0 };
    await it.use("pan").drag([1, 1], [3, 4]);
    expect(it.editor.camera.view).toEqual({ scale: 4, x: 20, y: 30 });
  });
});

import { describe, expect, test } from "vitest";
import { findProminent, prominenceOf } from "../../src/editor/prominence";
import { Pretend } from "../pretend";
import { drawn } from "../scenes";

const always = () => Promise.resolve(true);

describe("which object stands out", () => {
  test("the larger, the surer and the more central", () => {
    const middle = drawn("........", "..####..", "..####..", "........");
    const corner = drawn("####....", "####....", "........", "........");
    const speck = drawn("........", "...#....", "........", "........");
    expect(prominenceOf(middle, 0.9)).toBeGreaterThan(prominenceOf(corner, 0.9));
    expect(prominenceOf(middle, 0.9)).toBeGreaterThan(prominenceOf(middle, 0.5));
    expect(prominenceOf(middle, 0.9)).toBeGreaterThan(prominenceOf(speck, 0.9));
  });

  test("the ground is not an object", () => {
    expect(prominenceOf(drawn("####", "####", "####", "####"), 1)).toBe(0);
  });

  test("what was found is apart from one another, the most prominent first", async () => {
    const it = new Pretend(60, 40);
    const spots = await findProminent(it.decoder, "1", it.editor.size, always);
    expect(it.decoder.questions).toHaveLength(25);
    const order = spots.map((spot) => spot.prominence);
    expect(order).toEqual([...order].sort((a, b) => b - a));
    expect(spots[0]!.point).toMatchObject({ x: 30, y: 20 });
  });

  test("nothing more is asked for an image that was left", async () => {
    const it = new Pretend(60, 40);
    expect(await findProminent(it.decoder, "1", it.editor.size, () => Promise.resolve(it.decoder.questions.length < 3))).toEqual([]);
    expect(it.decoder.questions).toHaveLength(3);
  });
});

describe("being led", () => {
  async function led() {
    const it = new Pretend(60, 40);
    it.editor.leading.know(await findProminent(it.decoder, "1", it.editor.size, always));
    return it;
  }

  test("one mark is shown; the key asks for it, and the next mark is on another object", async () => {
    const it = await led();
    const first = it.editor.leading.next!;
    expect(it.editor.shapes()).toMatchObject([{ kind: "mark", at: first.point }]);
    it.editor.lead();
    await it.answered();
    expect(it.editor.prompting.prompt.clicks).toMatchObject([{ point: first.point, label: 1 }]);
    it.editor.finish();
    expect(it.last.content.made.clicks).toBe(1);
    expect(it.editor.leading.next).not.toBe(first);
  });

  test("asked too early, it asks as soon as it knows", async () => {
    const it = new Pretend(60, 40);
    it.editor.lead();
    expect(it.said).toEqual(["lead.looking"]);
    it.editor.leading.know(await findProminent(it.decoder, "1", it.editor.size, always));
    await it.answered();
    expect(it.editor.prompting.prompt.clicks).toHaveLength(1);
  });

  test("an object that has a mask is not led to", async () => {
    const it = await led();
    const first = it.editor.leading.next!;
    await it.click(first.point.x, first.point.y);
    it.editor.finish();
    expect(it.editor.leading.next?.point).not.toEqual(first.point);
  });

  test("asked again without keeping, it passes on; at the end it says so", async () => {
    const it = await led();
    const seen = new Set<unknown>();
    while (it.editor.leading.next) {
      seen.add(it.editor.leading.next);
      it.editor.lead();
      await it.answered();
      expect(it.editor.prompting.prompt.clicks).toHaveLength(1);
    }
    expect(seen.size).toBeGreaterThan(3);
    it.editor.lead();
    expect(it.said).toEqual(["lead.nothing"]);
    expect(it.areas).toEqual([]);
  });
});

describe("seconds on one object", () => {
  test("clicks and strokes count, idle looking at a mask does not", async () => {
    const it = new Pretend();
    expect(it.editor.secondsOnObject).toBe(0);
    await it.click(8, 8);
    it.wait(4);
    expect(it.editor.secondsOnObject).toBeGreaterThan(3);
    it.editor.finish();
    it.use("brush").editor.select(it.last.id);
    it.wait(4).press(2, 2).wait(4).release(4, 2);
    expect(it.editor.secondsOnObject).toBeGreaterThan(3);
    it.wait(4).press(2, 4).wait(4).release(4, 4);
    expect(it.editor.secondsOnObject).toBeGreaterThan(7);
    it.editor.keep();
    expect(it.editor.secondsOnObject).toBe(0);
  });
});

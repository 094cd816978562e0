import { expect, test } from "vitest";
import { inChinese } from "../../src/i18n/sentences";

test("a sentence of the server is said in Chinese with its names and numbers", () => {
  expect(inChinese("only crack is marked; draw a stroke on what is something else, background for example")).toBe(
    "只标了“crack”；请在别的东西上也画一笔，例如背景",
  );
  expect(inChinese("42% of what is marked as leaf looks like background; check for strokes that contradict each other")).toBe(
    "标为“leaf”的有 42% 看起来像“背景”；请检查是否有互相矛盾的笔画",
  );
});

test("ways to propose have names of their own", () => {
  const said = "regions: from score 0.641 on, 91% of 23 masks on 12 hold-out images are right, and they find 3% of the objects";
  expect(inChinese(said)).toBe("区域头：得分从 0.641 起，保留集 12 张图像上的 23 个掩码有 91% 正确，找到了 3% 的物体");
});

test("a sentence that nobody has translated stays as it is", () => {
  expect(inChinese("the disc is full")).toBe("the disc is full");
});

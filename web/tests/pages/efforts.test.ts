import { expect, test } from "vitest";
import { secondsPerMask, series } from "../../src/pages/efforts";

const effort = (key: string, masks: number, seconds: number) => ({ key, masks, images: 1, timed_masks: masks, seconds, clicks: 2, edits: 0 });

test("one line per person, with gaps where somebody was not there", () => {
  const found = series([effort("2026-01-02 ada", 2, 20), effort("2026-01-01 bob", 1, 34), effort("2026-01-01 ada", 1, 14)], secondsPerMask, "all");
  expect(found.days).toHaveLength(2);
  expect(found.lines).toEqual([
    { name: "ada", values: [14, 10] },
    { name: "bob", values: [34, null] },
  ]);
});

test("days without a name are one line", () => {
  expect(series([effort("2026-01-02", 2, 20)], secondsPerMask, "all").lines).toEqual([{ name: "all", values: [10] }]);
});

test("masks without a time have no seconds", () => {
  expect(secondsPerMask(effort("x", 0, 0))).toBeNull();
});

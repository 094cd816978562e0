import { expect, test } from "vitest";
import type { RuleSet } from "../../src/scribble/rules";
import { addDecision, addRule, begun, DECISIONS, RULES, withRules, withSetting } from "../../src/scribble/rules";

const NONE: RuleSet = { version: 1, categories: {}, decisions: [] };

test("a rule that changes shapes comes before those that make regions, as the server asks for", () => {
  let rules = addRule(NONE, "crack", "min_area");
  rules = addRule(rules, "crack", "close");
  rules = addRule(rules, "crack", "confidence");
  rules = addRule(rules, "crack", "merge");
  expect(rules.categories["crack"]!.map((each) => each.rule)).toEqual(["close", "confidence", "min_area", "merge"]);
  expect(NONE.categories).toEqual({});
});

test("a class without rules is left out, and so is a setting without a value", () => {
  const rules = addRule(NONE, "crack", "elongation");
  expect(rules.categories["crack"]).toEqual([{ rule: "elongation", least: 1 }]);
  expect(withRules(rules, "crack", [])).toEqual(NONE);
  const most = RULES["elongation"]!.find((each) => each.name === "most")!;
  const rule = withSetting(begun("elongation", RULES["elongation"]!), most, 3);
  expect(rule).toEqual({ rule: "elongation", least: 1, most: 3 });
  expect(withSetting(rule, most, NaN)).toEqual({ rule: "elongation", least: 1 });
});

test("a decision names its class", () => {
  const rules = addDecision(NONE, "crack", "count");
  expect(rules.decisions).toEqual([{ rule: "count", category: "crack", least: 0 }]);
  expect(Object.keys(DECISIONS)).toEqual(["count", "area_share", "largest_area", "distance"]);
});

/** Rules as a form: which there are, what each may hold, and changes of a rule set; pure. */

export interface Field {
  readonly name: string;
  readonly kind: "number" | "choice" | "class" | "flag";
  readonly start: number | string | boolean | null;
  readonly least?: number;
  readonly most?: number;
  readonly step?: number;
  readonly choices?: readonly string[];
}

export type Rule = { readonly rule: string } & Readonly<Record<string, unknown>>;

export interface RuleSet {
  readonly version: number;
  readonly categories: Readonly<Record<string, readonly Rule[]>>;
  readonly decisions: readonly Rule[];
}

const area = (start: number): Field => ({ name: "area", kind: "number", start, least: 0 });
const radius: Field = { name: "radius", kind: "number", start: 2, least: 1, most: 200 };
const of: Field = { name: "of", kind: "class", start: "border" };

/** Rules of a class, in the order in which they are offered: those that change shapes first. */
export const RULES: Readonly<Record<string, readonly Field[]>> = {
  confidence: [{ name: "threshold", kind: "number", start: 0.7, least: 0, most: 1, step: 0.05 }],
  fill_holes: [area(100)],
  close: [radius],
  open: [radius],
  smooth: [radius],
  split: [
    { name: "method", kind: "choice", start: "distance", choices: ["distance", "watershed"] },
    { name: "apart", kind: "number", start: 5, least: 1, most: 200 },
  ],
  merge: [{ name: "nearer", kind: "number", start: 5, least: 1, most: 200 }],
  min_area: [area(50)],
  max_area: [area(10000)],
  keep_largest: [{ name: "number", kind: "number", start: 1, least: 1 }],
  elongation: [
    { name: "least", kind: "number", start: 1, least: 1, step: 0.5 },
    { name: "most", kind: "number", start: null, least: 1, step: 0.5 },
  ],
  solidity: [
    { name: "least", kind: "number", start: 0, least: 0, most: 1, step: 0.05 },
    { name: "most", kind: "number", start: 1, least: 0, most: 1, step: 0.05 },
  ],
  place: [
    { name: "relation", kind: "choice", start: "touching", choices: ["inside", "outside", "touching"] },
    of,
    { name: "keep", kind: "flag", start: true },
  ],
};

/** What is asked of a whole image. */
export const DECISIONS: Readonly<Record<string, readonly Field[]>> = {
  count: [
    { name: "least", kind: "number", start: 0, least: 0 },
    { name: "most", kind: "number", start: null, least: 0 },
  ],
  area_share: [
    { name: "least", kind: "number", start: 0, least: 0, most: 1, step: 0.01 },
    { name: "most", kind: "number", start: 1, least: 0, most: 1, step: 0.01 },
  ],
  largest_area: [{ name: "most", kind: "number", start: 1000, least: 0 }],
  distance: [of, { name: "least", kind: "number", start: 5, least: 0 }],
};

/** Those that change shapes must stand before those that make regions. */
const SHAPES = ["confidence", "fill_holes", "close", "open", "smooth"];

/** A rule as it begins; settings that are not needed are left out. */
export function begun(kind: string, fields: readonly Field[]): Rule {
  const set = fields.filter((each) => each.start !== null).map((each) => [each.name, each.start]);
  return { rule: kind, ...Object.fromEntries(set) };
}

/** Add a rule to a class where it may stand: behind those of its sort. */
export function addRule(rules: RuleSet, name: string, kind: string): RuleSet {
  const mine = rules.categories[name] ?? [];
  const late = mine.findIndex((each) => !SHAPES.includes(each.rule));
  const at = SHAPES.includes(kind) && late >= 0 ? late : mine.length;
  return withRules(rules, name, mine.toSpliced(at, 0, begun(kind, RULES[kind]!)));
}

export function addDecision(rules: RuleSet, name: string, kind: string): RuleSet {
  const made = { ...begun(kind, DECISIONS[kind]!), category: name };
  return { ...rules, decisions: [...rules.decisions, made] };
}

/** One class's rules replaced; a class without any is left out. */
export function withRules(rules: RuleSet, name: string, mine: readonly Rule[]): RuleSet {
  const categories = { ...rules.categories, [name]: mine };
  const kept = Object.entries(categories).filter(([, each]) => each.length);
  return { ...rules, categories: Object.fromEntries(kept) };
}

/** A setting changed; an empty one begins anew, or is left out where it need not be there. */
export function withSetting(rule: Rule, field: Field, value: unknown): Rule {
  const { [field.name]: _, ...rest } = rule;
  const isEmpty = value === null || value === "" || Number.isNaN(value);
  const next = isEmpty ? field.start : value;
  return (next === null ? rest : { ...rest, [field.name]: next }) as Rule;
}

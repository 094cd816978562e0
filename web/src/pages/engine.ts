/** From what the server says of rounds to what is plotted and said; pure. */

import type { components } from "../api/types";

type Wire = components["schemas"];
export type Engine = Wire["EngineOut"];
export type Round = Wire["RoundOut"];
export type Gate = Wire["GateOut"];
export type Point = Wire["PointOut"];
export type Working = Wire["WorkingOut"];

/** Lines over a common axis: what a chart draws. */
export interface Lines {
  readonly x: number[];
  readonly lines: { readonly name: string; readonly values: (number | null)[] }[];
}

/** What the gate looks at first. */
const TARGETS = ["IoU after 1 click", "IoU from a box"] as const;

/** Points by step: what came later replaces what a resumed training does again. */
export function merged(known: readonly Point[], more: readonly Point[]): Point[] {
  const first = more[0]?.step ?? Infinity;
  return [...known.filter((each) => each.step < first), ...more];
}

/** A line of means over so many neighbours to each side: single steps jump. */
export function smoothed(values: readonly (number | null | undefined)[], reach = 4): (number | null)[] {
  return values.map((value, at) => {
    if (value === null || value === undefined) return null;
    const near = values.slice(Math.max(0, at - reach), at + reach + 1).filter((each) => typeof each === "number");
    return near.reduce((sum, each) => sum + each, 0) / near.length;
  });
}

/** A training's curve: on what is trained on, smoothed, and on the hold-out. */
export function curve(points: readonly Point[], of: "loss" | "iou", names: readonly [string, string]): Lines {
  const held = of === "loss" ? "val_loss" : "val_iou";
  return {
    x: points.map((each) => each.step),
    lines: [
      { name: names[0], values: smoothed(points.map((each) => each[of])) },
      { name: names[1], values: points.map((each) => each[held] ?? null) },
    ],
  };
}

/** Rounds that collected something and were judged or wait for it. */
export function counted(rounds: readonly Round[]): Round[] {
  return rounds.filter((each) => each.work !== null && each.status !== "failed");
}

/** One number of what was collected, round by round. */
export function perRound(rounds: readonly Round[], value: (work: NonNullable<Round["work"]>) => number | null, name: string): Lines {
  const shown = counted(rounds);
  return {
    x: shown.map((each) => each.number),
    lines: [{ name, values: shown.map((each) => each.work && value(each.work)) }],
  };
}

/** One number of the gate, of the old and the new model, round by round. */
export function gated(rounds: readonly Round[], of: string, names: readonly [string, string]): Lines {
  const shown = counted(rounds).filter((each) => each.gate?.comparisons.length);
  const found = shown.map((each) => each.gate?.comparisons.find(({ name }) => name === of));
  return {
    x: shown.map((each) => each.number),
    lines: [
      { name: names[0], values: found.map((each) => each?.incumbent ?? null) },
      { name: names[1], values: found.map((each) => each?.candidate ?? null) },
    ],
  };
}

export function hasValues({ lines }: Lines): boolean {
  return lines.some(({ values }) => values.some((each) => each !== null));
}

/** What a gate's verdict comes to: which sentence, and what it names. */
export function verdict(gate: Gate): { readonly say: "promoted" | "kept.worse" | "kept.same" | "person" | "nothing"; readonly names: readonly string[]; readonly before: string; readonly after: string } {
  const aim = gate.comparisons.find(({ name }) => name === TARGETS[0]) ?? gate.comparisons[0];
  const worse = gate.comparisons.filter(({ outcome }) => outcome === "worse").map(({ name }) => name);
  const said = { names: aim ? [aim.name] : [], before: shown(aim?.incumbent), after: shown(aim?.candidate) };
  if (!aim) return { say: "nothing", ...said };
  if (gate.promoted === null) return { say: "person", ...said };
  if (gate.promoted) return { say: "promoted", ...said };
  return worse.length ? { ...said, say: "kept.worse", names: worse } : { say: "kept.same", ...said };
}

/** How many times as long a chosen encoder takes; null where its time is no news. */
export function slowdown(gate: Gate): string | null {
  const found = gate.comparisons.find(({ outcome }) => outcome === "expected");
  return found ? (found.candidate / found.incumbent).toFixed(1) : null;
}

/** Three places: half a percent of IoU must show. */
export function shown(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toFixed(3);
}

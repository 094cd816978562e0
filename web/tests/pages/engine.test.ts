import { describe, expect, it } from "vitest";
import type { Gate, Round } from "../../src/pages/engine";
import { counted, curve, gated, hasValues, merged, perRound, slowdown, smoothed, verdict } from "../../src/pages/engine";

const GATE: Gate = {
  promoted: true,
  reason: "promoted",
  images: 30,
  comparisons: [
    { name: "IoU after 1 click", incumbent: 0.7, candidate: 0.75, low: 0.02, high: 0.08, outcome: "better" },
    { name: "IoU from a box", incumbent: 0.8, candidate: 0.7, low: -0.2, high: -0.01, outcome: "worse" },
  ],
};

function round(number: number, more: Partial<Round> = {}): Round {
  const work = { masks: 10, images: 2, seconds_per_mask: 10 - number, masks_per_image: 5, clicks_per_mask: 1.5, strokes_per_mask: 0, kept: 0, rejected: 0, unseen: 0, acceptance: null };
  return { number, stage: "assisted", status: "promoted", reason: null, started_at: 0, ended_at: 1, masks: "new", start: "current", start_name: null, work, gate: GATE, naming: null, ...more };
}

describe("the engine's page", () => {
  it("draws what was collected for each round that was finished", () => {
    const rounds = [round(1), round(2, { status: "failed" }), round(3, { work: null }), round(4)];
    expect(counted(rounds).map((each) => each.number)).toEqual([1, 4]);
    expect(perRound(rounds, (work) => work.seconds_per_mask, "people")).toEqual({ x: [1, 4], lines: [{ name: "people", values: [9, 6] }] });
    expect(gated(rounds, "IoU after 1 click", ["old", "new"]).lines.map((each) => each.values)).toEqual([[0.7, 0.7], [0.75, 0.75]]);
    expect(hasValues(perRound(rounds, (work) => work.acceptance, "people"))).toBe(false);
  });

  it("goes on with a curve where a resumed training goes on", () => {
    const known = [0, 1, 2, 3].map((step) => ({ step, loss: 1 }));
    expect(merged(known, [{ step: 2, loss: 0.5 }]).map((each) => [each.step, each.loss])).toEqual([[0, 1], [1, 1], [2, 0.5]]);
    expect(merged(known, [])).toHaveLength(4);
  });

  it("smooths what is trained on, and leaves the hold-out as it was measured", () => {
    expect(smoothed([0, null, 3], 1)).toEqual([0, null, 3]);
    expect(smoothed([0, 1, 5], 1)).toEqual([0.5, 2, 3]);
    const { lines } = curve([{ step: 0, loss: 2, val_loss: 3 }, { step: 1, loss: 1 }], "loss", ["a", "b"]);
    expect(lines.map((each) => each.values)).toEqual([[1.5, 1.5], [3, null]]);
  });

  it("says how much slower the encoder is that somebody chose", () => {
    const encode = { name: "seconds to encode", incumbent: 0.1, candidate: 0.31, low: -2.1, high: -2.1 };
    const chosen: Gate = { ...GATE, comparisons: [...GATE.comparisons.slice(0, 1), { ...encode, outcome: "expected" }] };
    expect([slowdown(chosen), verdict(chosen).say]).toEqual(["3.1", "promoted"]);
    expect(slowdown({ ...GATE, comparisons: [{ ...encode, outcome: "worse" }] })).toBeNull();
  });

  it("says what the gate said", () => {
    expect(verdict(GATE)).toEqual({ say: "promoted", names: ["IoU after 1 click"], before: "0.700", after: "0.750" });
    expect(verdict({ ...GATE, promoted: false })).toMatchObject({ say: "kept.worse", names: ["IoU from a box"] });
    expect(verdict({ ...GATE, promoted: false, comparisons: GATE.comparisons.slice(0, 1) }).say).toBe("kept.same");
    expect(verdict({ ...GATE, promoted: null }).say).toBe("person");
    expect(verdict({ ...GATE, promoted: null, comparisons: [] }).say).toBe("nothing");
  });
});

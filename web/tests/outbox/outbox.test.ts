import "fake-indexeddb/auto";
import { describe, expect, test, vi } from "vitest";
import type { Letter } from "../../src/outbox/database";
import { openDatabase } from "../../src/outbox/database";
import type { Outcome } from "../../src/outbox/outbox";
import { Outbox } from "../../src/outbox/outbox";

let projects = 0;

async function scene(answer: (letter: Letter, nth: number) => Outcome) {
  const name = `p${++projects}`;
  const sent: Letter[] = [];
  const states: unknown[] = [];
  const make = async () =>
    new Outbox(await openDatabase(name), {
      send: (letter) => Promise.resolve(answer(letter, sent.push(letter))),
      onDone: () => undefined,
      onRefused: () => undefined,
      onState: (state) => void states.push(state),
    });
  return { make, sent, states, outbox: await make() };
}

const done: Outcome = { kind: "done", answer: null };
const operation = (id: string) => ({
  imageId: 1,
  changes: [],
  steps: [{ id, change: { kind: "delete" as const, base_version: 1 } }],
});
const ids = (letters: Letter[]) => letters.map(({ steps }) => steps[0]!.id);

/** The store answers when it likes, and later on a busy machine. */
const soon = <T>(look: () => T | Promise<T>) => vi.waitFor(look, { timeout: 10_000, interval: 5 });

describe("the outbox", () => {
  test("sends in order, and forgets what the server confirmed", async () => {
    const it = await scene(() => done);
    for (const id of ["a", "b", "c"]) void it.outbox.put(operation(id));
    await soon(() => expect(ids(it.sent)).toEqual(["a", "b", "c"]));
    await soon(async () => expect(await it.outbox.waiting()).toEqual([]));
  });

  test("keeps everything while nobody answers, also for the next page", async () => {
    const it = await scene(() => ({ kind: "later", why: "offline" }));
    await it.outbox.put(operation("a"));
    await it.outbox.put(operation("b"));
    await soon(() => expect(it.states.at(-1)).toEqual({ waiting: 2, refused: 0, trouble: "offline" }));
    it.outbox.stop();
    const next = await it.make();
    expect(ids(await next.waiting())).toEqual(["a", "b"]);
    next.stop();
  });

  test("comes again with the same operation id", async () => {
    const it = await scene((_, nth) => (nth === 1 ? { kind: "later", why: "offline" } : done));
    await it.outbox.put(operation("a"));
    await soon(async () => expect(await it.outbox.waiting()).toEqual([]));
    expect(it.sent).toHaveLength(2);
    expect(it.sent[0]!.opId).toBe(it.sent[1]!.opId);
  });

  test("holds what comes after a refusal on the same mask, and lets the rest go", async () => {
    const no: Outcome = { kind: "refused", reason: "somebody was faster", current: 5 };
    const it = await scene((_, nth) => (nth === 1 ? no : done));
    for (const id of ["a", "a", "b"]) await it.outbox.put(operation(id));
    await soon(async () => expect(await it.outbox.waiting()).toHaveLength(2));
    expect(ids(it.sent)).toEqual(["a", "b"]);
    const left = await it.outbox.waiting();
    expect(left).toHaveLength(2);
    expect(left[0]!.refused).toEqual({ reason: "somebody was faster", current: 5 });
    await it.outbox.drop(left);
    expect(await it.outbox.waiting()).toEqual([]);
  });
});

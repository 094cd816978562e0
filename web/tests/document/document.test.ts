import { describe, expect, test } from "vitest";
import { changesFor, conflictOf } from "../../src/document/conflicts";
import { replay } from "../../src/document/replay";
import type { Letter } from "../../src/outbox/database";
import { annotation, Pretend } from "../pretend";

const A = () => annotation("a", "##..", "##..");

describe("undo", () => {
  test("deletions and categories come back too, in the order they went", () => {
    const it = new Pretend(4, 2, [A()]);
    it.editor.select("a");
    it.editor.categorise(7);
    it.editor.remove();
    expect(it.areas).toEqual([]);
    it.editor.undo();
    expect(it.last.content.categoryId).toBe(7);
    it.editor.undo();
    expect(it.last.content.categoryId).toBeNull();
    it.editor.redo();
    it.editor.redo();
    expect(it.areas).toEqual([]);
    expect(it.sent.map(({ steps }) => steps[0]!.change.base_version)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("survives a reload", () => {
    const before = new Pretend(4, 2, [A()]);
    before.editor.select("a");
    before.editor.remove();
    const letters = before.sent.map((each, i) => ({ ...each, opId: `op-${i}`, at: 0 }));
    const after = new Pretend(4, 2, replay([A()], letters, "me"), JSON.parse(JSON.stringify(before.kept)));
    expect(after.areas).toEqual([]);
    after.editor.undo();
    expect(after.areas).toEqual([4]);
  });

  test("does not undo over what somebody else changed since", () => {
    const it = new Pretend(4, 2, [A()]);
    it.editor.select("a");
    it.editor.categorise(7);
    it.document.receive({ ...annotation("a", "####", "##.."), version: 3, changedBy: "somebody" });
    it.editor.undo();
    expect(it.said).toEqual(["undone.changed-by-others"]);
    expect(it.areas).toEqual([6]);
  });

  test("a new change forgets what was undone", () => {
    const it = new Pretend(4, 2, [A()]);
    it.editor.select("a");
    it.editor.categorise(1);
    it.editor.undo();
    it.editor.categorise(2);
    it.editor.redo();
    expect(it.last.content.categoryId).toBe(2);
  });
});

describe("a mask that a model made", () => {
  const machine = { ...A(), machine: true };

  test("is kept with an operation of its own, after a reload too", () => {
    const it = new Pretend(4, 2, [machine]);
    it.document.keep("a");
    const [{ steps }] = it.sent as [(typeof it.sent)[number]];
    expect(steps).toEqual([{ id: "a", change: { kind: "keep", base_version: 1 } }]);
    const letters = [{ ...it.sent[0]!, opId: "op", at: 0, place: 0 }];
    const reloaded = new Pretend(4, 2, replay([machine], letters, "me"));
    for (const each of [it, reloaded]) {
      expect(each.last).toMatchObject({ machine: false, review: "accepted", version: 2, changedBy: "me" });
      each.document.keep("a");
      expect(each.sent.length).toBe(each === it ? 1 : 0);
    }
  });

  test("may have followed something before a mend of it is done again", () => {
    const it = new Pretend(4, 2, [machine]);
    const [before, after] = [machine.content, annotation("a", "####", "####").content];
    it.document.apply("brush", [{ id: "a", before, after }]);
    it.editor.undo();
    it.document.receive({ ...annotation("a", "#...", "#..."), version: 4, machine: true });
    it.editor.redo();
    expect(it.said).toEqual([]);
    expect(it.areas).toEqual([8]);
    expect(it.sent.at(-1)!.steps[0]!.change.base_version).toBe(4);
  });

  test("is not kept where a person made it", () => {
    const it = new Pretend(4, 2, [A()]);
    it.document.keep("a");
    expect(it.sent).toEqual([]);
  });
});

describe("operations on their way", () => {
  const letter = (it: Pretend, i: number): Letter => ({ ...it.sent[i]!, opId: `op-${i}`, at: 0, place: i });

  test("are done again after a reload, unless the server has them", () => {
    const it = new Pretend(4, 2, [A()]);
    it.editor.select("a");
    it.editor.categorise(7);
    it.editor.categorise(8);
    const letters = [letter(it, 0), letter(it, 1)];
    expect(replay([A()], letters, "me")).toMatchObject([{ version: 3, content: { categoryId: 8 } }]);
    const arrived = { ...A(), version: 2, content: { ...A().content, categoryId: 7 } };
    expect(replay([arrived], letters, "me")).toMatchObject([{ version: 3, content: { categoryId: 8 } }]);
    const faster = { ...A(), version: 9 };
    expect(replay([faster], letters, "me")).toMatchObject([{ version: 9 }]);
  });

  test("two people: mine, theirs, or both", () => {
    const it = new Pretend(4, 2, [A()]);
    it.editor.select("a");
    it.editor.categorise(7);
    const refused = { ...letter(it, 0), refused: { reason: "somebody was faster", current: null } };
    const theirs = { ...annotation("a", "####", "####"), version: 2, changedBy: "somebody" };
    const conflict = conflictOf(refused, [refused], theirs);
    expect(conflict).toMatchObject({ id: "a", theirName: "somebody", mine: { categoryId: 7 } });
    const known = () => theirs.content;
    const mine = changesFor(conflict, "mine", known, () => "new");
    expect(mine).toMatchObject([{ id: "a", before: theirs.content, after: { categoryId: 7 } }]);
    const both = changesFor(conflict, "both", known, () => "new");
    expect(both).toMatchObject([{ id: "new", before: null, after: { categoryId: 7 } }]);
    expect(changesFor(conflict, "theirs", known, () => "new")).toEqual([]);
  });
});

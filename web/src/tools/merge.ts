/** Merge: click one mask after the other, and each becomes part of the first. */

import type { Annotation } from "../document/annotation";
import { maskOf, remember } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import { union } from "../geometry/mask";
import { encode } from "../geometry/rle";
import type { Pointer, Tool, Workbench } from "./tool";

export class MergeTool implements Tool {
  readonly cursor = "pointer";
  private pointed: Annotation | undefined;

  constructor(private readonly bench: Workbench) {}

  pointerMove({ at }: Pointer): void {
    this.pointed = this.bench.annotationAt(at);
    this.bench.changed();
  }

  pointerDown({ at }: Pointer): void {
    const { bench } = this;
    const other = bench.annotationAt(at);
    const { selected } = bench;
    if (!other) return bench.say("merge.nothing");
    if (!selected || selected.id === other.id) return bench.select(other.id);
    const mask = union(maskOf(selected.content.rle), maskOf(other.content.rle));
    const { made } = selected.content;
    const seconds = made.seconds + other.content.made.seconds;
    const clicks = made.clicks + other.content.made.clicks;
    const edits = made.edits + other.content.made.edits + 1;
    const rle = remember(encode(mask), mask);
    const after = { ...selected.content, rle, made: { ...made, seconds, clicks, edits } };
    bench.apply("merge", [
      { id: selected.id, before: selected.content, after },
      { id: other.id, before: other.content, after: null },
    ]);
  }

  pointerUp(): void {}

  leave(): void {
    this.pointed = undefined;
  }

  cancel(): boolean {
    return false;
  }

  shapes(): readonly Shape[] {
    const { pointed, bench } = this;
    if (!pointed || pointed.id === bench.selected?.id) return [];
    return [{ kind: "mask", mask: maskOf(pointed.content.rle), role: "add" }];
  }
}

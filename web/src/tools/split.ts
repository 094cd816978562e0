/** A knife: draw a line through a mask, and it is two. */

import { maskOf, remember } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import type { ImagePoint } from "../geometry/frames";
import { contains } from "../geometry/mask";
import { split } from "../geometry/regions";
import { encode } from "../geometry/rle";
import type { Pointer, Tool, Workbench } from "./tool";

export class SplitTool implements Tool {
  readonly cursor = "crosshair";
  private path: ImagePoint[] | null = null;

  constructor(private readonly bench: Workbench) {}

  pointerDown({ at }: Pointer): void {
    this.path = [at];
  }

  pointerMove({ at }: Pointer): void {
    this.path?.push(at);
    this.bench.changed();
  }

  pointerUp({ at }: Pointer): void {
    const { path, bench } = this;
    this.path = null;
    if (!path) return;
    const line = [...path, at];
    const target = bench.selected ?? this.firstUnder(line);
    if (!target) return bench.say("split.nothing");
    const parts = split(maskOf(target.content.rle), line);
    if (parts.length < 2) return bench.say("split.not-through");
    const [first, ...rest] = parts.map((mask) => remember(encode(mask), mask));
    const { content } = target;
    bench.apply("split", [
      { id: target.id, before: content, after: { ...content, rle: first! } },
      ...rest.map((rle) => ({ id: bench.newId(), before: null, after: { ...content, rle } })),
    ]);
    bench.select(target.id);
  }

  cancel(): boolean {
    const wasBusy = this.path !== null;
    this.path = null;
    this.bench.changed();
    return wasBusy;
  }

  shapes(): readonly Shape[] {
    if (!this.path) return [];
    return [{ kind: "path", points: this.path, width: 0, closed: false, role: "subtract" }];
  }

  private firstUnder(line: readonly ImagePoint[]) {
    for (const point of line) {
      const found = this.bench.annotationAt(point);
      if (found && contains(maskOf(found.content.rle), point)) return found;
    }
    return undefined;
  }
}

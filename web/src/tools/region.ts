/** Fill a hole or drop an island: one click, with the region shown before. */

import type { Annotation } from "../document/annotation";
import { maskOf } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import type { ImagePoint } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { subtract, union } from "../geometry/mask";
import { holeAt, islandAt } from "../geometry/regions";
import type { Pointer, Tool, Workbench } from "./tool";

export class RegionTool implements Tool {
  readonly cursor = "pointer";
  private found: { readonly annotation: Annotation; readonly region: Mask } | undefined;

  constructor(
    private readonly bench: Workbench,
    private readonly what: "hole" | "island",
  ) {}

  pointerMove({ at }: Pointer): void {
    this.found = this.look(at);
    this.bench.changed();
  }

  pointerDown({ at }: Pointer): void {
    const { bench, what } = this;
    const found = this.look(at);
    this.found = undefined;
    if (!found) {
      bench.say(`region.no-${what}`);
      return;
    }
    const mask = maskOf(found.annotation.content.rle);
    if (what === "hole") bench.redraw("fill-hole", found.annotation, union(mask, found.region));
    else bench.redraw("drop-island", found.annotation, subtract(mask, found.region));
  }

  pointerUp(): void {}

  leave(): void {
    this.found = undefined;
    this.bench.changed();
  }

  cancel(): boolean {
    this.found = undefined;
    return false;
  }

  shapes(): readonly Shape[] {
    if (!this.found) return [];
    const role = this.what === "hole" ? "add" : "subtract";
    return [{ kind: "mask", mask: this.found.region, role }];
  }

  /** The selected mask goes first; an island may also be any mask's under the pointer. */
  private look(at: ImagePoint) {
    const { bench, what } = this;
    const annotation = bench.selected ?? bench.annotationAt(at);
    if (!annotation) return undefined;
    const mask = maskOf(annotation.content.rle);
    const region = what === "hole" ? holeAt(mask, at) : islandAt(mask, at);
    return region && { annotation, region };
  }
}

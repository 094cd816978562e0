/** Brush and eraser: strokes that add to the selected mask, or take from it. */

import { maskOf } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import { paintStroke } from "../geometry/brush";
import type { ImagePoint } from "../geometry/frames";
import { subtract, union } from "../geometry/mask";
import type { Pointer, Tool, Workbench } from "./tool";

type State =
  | { readonly name: "idle"; readonly at: ImagePoint | null }
  | { readonly name: "stroking"; readonly path: ImagePoint[]; readonly erasing: boolean };

export class BrushTool implements Tool {
  readonly cursor = "none";
  private state: State = { name: "idle", at: null };

  /** @param erases - Whether it takes away; alt or the right button turns that round. */
  constructor(
    private readonly bench: Workbench,
    private readonly erases: boolean,
  ) {}

  pointerDown({ at, opposite }: Pointer): void {
    // What was asked for becomes a mask first, so that the stroke has something to change.
    if (!this.bench.prompting.isEmpty) this.bench.confirm();
    this.state = { name: "stroking", path: [at], erasing: this.erases !== opposite };
    this.bench.changed();
  }

  pointerMove({ at }: Pointer): void {
    if (this.state.name === "stroking") this.state.path.push(at);
    else this.state = { name: "idle", at };
    this.bench.changed();
  }

  pointerUp({ at }: Pointer): void {
    const { state } = this;
    if (state.name !== "stroking") return;
    this.state = { name: "idle", at };
    this.paint([...state.path, at], state.erasing);
  }

  private paint(path: readonly ImagePoint[], erasing: boolean): void {
    const { bench } = this;
    const stroke = paintStroke(path, bench.brushRadius, bench.size);
    const { selected } = bench;
    if (erasing && !selected) bench.say("brush.select-first");
    else if (!stroke.pixels.length) bench.changed();
    else if (!selected) bench.add("brush", stroke);
    else {
      const mask = maskOf(selected.content.rle);
      bench.redraw(erasing ? "erase" : "brush", selected, erasing ? subtract(mask, stroke) : union(mask, stroke));
    }
  }

  leave(): void {
    if (this.state.name === "idle") this.state = { name: "idle", at: null };
    this.bench.changed();
  }

  cancel(): boolean {
    const wasBusy = this.state.name === "stroking";
    this.state = { name: "idle", at: null };
    this.bench.changed();
    return wasBusy;
  }

  stroke(): readonly ImagePoint[] | null {
    return this.state.name === "stroking" ? this.state.path : null;
  }

  shapes(): readonly Shape[] {
    const { state } = this;
    const radius = this.bench.brushRadius;
    if (state.name === "idle") {
      const role = this.erases ? "subtract" : "add";
      return state.at ? [{ kind: "circle", at: state.at, radius, role }] : [];
    }
    const role = state.erasing ? "subtract" : "add";
    const width = Math.max(1, 2 * radius);
    const at = state.path[state.path.length - 1]!;
    return [
      { kind: "path", points: state.path, width, closed: false, role },
      { kind: "circle", at, radius, role },
    ];
  }
}

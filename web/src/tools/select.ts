/** Select a mask by clicking it; drag to move the view. */

import { maskOf } from "../document/annotation";
import type { Annotation } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import type { ScreenPoint } from "../geometry/frames";
import type { Pointer, Tool, Workbench } from "./tool";

type State =
  | { readonly name: "idle" }
  | { readonly name: "pressing"; readonly last: ScreenPoint; readonly moved: number };

const DRAG = 4;

export class SelectTool implements Tool {
  readonly cursor = "default";
  private state: State = { name: "idle" };
  private pointed: Annotation | undefined;

  constructor(private readonly bench: Workbench) {}

  pointerDown({ screen }: Pointer): void {
    this.state = { name: "pressing", last: screen, moved: 0 };
  }

  pointerMove({ at, screen }: Pointer): void {
    const { state, bench } = this;
    if (state.name === "pressing") {
      const [dx, dy] = [screen.x - state.last.x, screen.y - state.last.y];
      const moved = state.moved + Math.hypot(dx, dy);
      if (moved > DRAG) bench.pan(dx, dy);
      this.state = { name: "pressing", last: screen, moved };
    } else {
      this.pointed = bench.annotationAt(at);
      bench.changed();
    }
  }

  pointerUp({ at }: Pointer): void {
    const { state, bench } = this;
    this.state = { name: "idle" };
    if (state.name === "pressing" && state.moved <= DRAG) bench.select(bench.annotationAt(at)?.id ?? null);
  }

  leave(): void {
    this.pointed = undefined;
    this.bench.changed();
  }

  cancel(): boolean {
    this.state = { name: "idle" };
    return false;
  }

  shapes(): readonly Shape[] {
    const { pointed, bench } = this;
    if (!pointed || pointed.id === bench.selected?.id) return [];
    return [{ kind: "mask", mask: maskOf(pointed.content.rle), role: "hint" }];
  }
}

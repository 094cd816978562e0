/** Clicks: hover to see, click to add, alt or right click to subtract, drag for a box. */

import type { Shape } from "../editor/shapes";
import type { ImagePoint, ScreenPoint } from "../geometry/frames";
import { boxOf, clampPoint, clipBox, isInside } from "../geometry/frames";
import type { Pointer, Tool, Workbench } from "./tool";

type State =
  | { readonly name: "idle" }
  | { readonly name: "pressing"; readonly from: Pointer }
  | { readonly name: "boxing"; readonly from: ImagePoint; readonly to: ImagePoint };

/** Screen pixels after which a press is a drag. */
const DRAG = 6;

export class PointTool implements Tool {
  readonly cursor = "crosshair";
  private state: State = { name: "idle" };

  constructor(private readonly bench: Workbench) {}

  pointerDown(pointer: Pointer): void {
    this.state = { name: "pressing", from: pointer };
  }

  pointerMove({ at, screen }: Pointer): void {
    const { bench, state } = this;
    if (state.name === "pressing" && distance(state.from.screen, screen) > DRAG) {
      this.state = { name: "boxing", from: clampPoint(state.from.at, bench.size), to: at };
    } else if (state.name === "boxing") {
      this.state = { ...state, to: clampPoint(at, bench.size) };
      bench.changed();
    } else if (state.name === "idle") {
      if (isInside(at, bench.size)) void bench.prompting.hover(at);
      else bench.prompting.leave();
    }
  }

  pointerUp(): void {
    const { bench, state } = this;
    this.state = { name: "idle" };
    if (state.name === "boxing") {
      const box = clipBox(boxOf(state.from, state.to), bench.size);
      void bench.prompting.drawBox(box).then(() => this.commitIfTurbo());
    } else if (state.name === "pressing") this.click(state.from);
  }

  private click({ at, opposite }: Pointer): void {
    const { bench } = this;
    if (!isInside(at, bench.size)) return;
    if (opposite && bench.prompting.isEmpty) {
      bench.say("point.subtract-first");
      return;
    }
    void bench.prompting.click(at, opposite ? 0 : 1).then(() => this.commitIfTurbo());
  }

  leave(): void {
    this.bench.prompting.leave();
  }

  cancel(): boolean {
    const wasBusy = this.state.name === "boxing" || !this.bench.prompting.isEmpty;
    this.state = { name: "idle" };
    this.bench.prompting.clear();
    return wasBusy;
  }

  finish(): boolean {
    return this.bench.confirm();
  }

  shapes(): readonly Shape[] {
    const { state } = this;
    if (state.name !== "boxing") return [];
    return [{ kind: "box", box: boxOf(state.from, state.to), role: "add" }];
  }

  private commitIfTurbo(): void {
    if (this.bench.turbo) this.bench.confirm();
  }
}

function distance(a: ScreenPoint, b: ScreenPoint): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

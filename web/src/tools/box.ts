/** A box round an object: drag, or click two corners. */

import type { Shape } from "../editor/shapes";
import type { ImagePoint } from "../geometry/frames";
import { boxOf, clampPoint, isEmptyBox } from "../geometry/frames";
import type { Pointer, Tool, Workbench } from "./tool";

type State =
  | { readonly name: "idle"; readonly at: ImagePoint | null }
  | { readonly name: "drawing"; readonly from: ImagePoint; readonly to: ImagePoint }
  | { readonly name: "waiting"; readonly from: ImagePoint; readonly to: ImagePoint };

export class BoxTool implements Tool {
  readonly cursor = "crosshair";
  private state: State = { name: "idle", at: null };

  constructor(private readonly bench: Workbench) {}

  pointerDown({ at }: Pointer): void {
    const point = clampPoint(at, this.bench.size);
    if (this.state.name === "waiting") this.ask(this.state.from, point);
    else this.state = { name: "drawing", from: point, to: point };
  }

  pointerMove({ at }: Pointer): void {
    const to = clampPoint(at, this.bench.size);
    this.state = this.state.name === "idle" ? { name: "idle", at: to } : { ...this.state, to };
    this.bench.changed();
  }

  pointerUp(): void {
    const { state, bench } = this;
    if (state.name !== "drawing") return;
    const least = 4 * bench.pixelsPerScreenPixel;
    const wasClick = Math.hypot(state.to.x - state.from.x, state.to.y - state.from.y) < least;
    if (wasClick) this.state = { ...state, name: "waiting" };
    else this.ask(state.from, state.to);
  }

  private ask(from: ImagePoint, to: ImagePoint): void {
    const { bench } = this;
    const box = boxOf(from, to);
    this.state = { name: "idle", at: to };
    if (isEmptyBox(box)) return;
    void bench.prompting.drawBox(box).then(() => {
      if (bench.turbo) bench.confirm();
    });
  }

  cancel(): boolean {
    const wasBusy = this.state.name !== "idle" || !this.bench.prompting.isEmpty;
    this.state = { name: "idle", at: null };
    this.bench.prompting.clear();
    return wasBusy;
  }

  finish(): boolean {
    return this.bench.confirm();
  }

  shapes(): readonly Shape[] {
    const { state, bench } = this;
    if (state.name !== "idle") {
      return [{ kind: "box", box: boxOf(state.from, state.to), role: "add" }];
    }
    if (!state.at || !bench.prompting.isEmpty) return [];
    const { x, y } = state.at;
    const line = (a: ImagePoint, b: ImagePoint): Shape => {
      return { kind: "path", points: [a, b], width: 0, closed: false, role: "hint" };
    };
    const point = (px: number, py: number) => ({ x: px, y: py, frame: "image" }) as const;
    const { width, height } = bench.size;
    return [line(point(x, 0), point(x, height)), line(point(0, y), point(width, y))];
  }
}

/** Lasso and polygon in one: drag to draw freely, click for corners; alt takes away. */

import { maskOf } from "../document/annotation";
import type { Shape } from "../editor/shapes";
import type { ImagePoint } from "../geometry/frames";
import { subtract, union } from "../geometry/mask";
import { fillPolygon } from "../geometry/polygon";
import type { Pointer, Tool, Workbench } from "./tool";

type State =
  | { readonly name: "idle" }
  | {
      readonly name: "drawing";
      readonly points: ImagePoint[];
      readonly subtracting: boolean;
      /** Corners that were there when the button went down; more by its release is a drag. */
      readonly pressedAt: number | null;
      readonly pointer: ImagePoint;
    };

/** Screen pixels: nearer to the first corner closes the polygon, nearer to the last is skipped. */
const [CLOSING, SKIPPED] = [8, 2];

export class LassoTool implements Tool {
  readonly cursor = "crosshair";
  private state: State = { name: "idle" };

  constructor(private readonly bench: Workbench) {}

  pointerDown({ at, opposite }: Pointer): void {
    const { state, bench } = this;
    if (!bench.prompting.isEmpty) bench.confirm();
    if (state.name === "idle") {
      this.state = {
        name: "drawing",
        points: [at],
        subtracting: opposite,
        pressedAt: 1,
        pointer: at,
      };
      return;
    }
    if (state.points.length > 2 && this.isNear(at, state.points[0]!, CLOSING)) {
      this.finish();
      return;
    }
    state.points.push(at);
    this.state = { ...state, pressedAt: state.points.length, pointer: at };
    bench.changed();
  }

  pointerMove({ at }: Pointer): void {
    const { state } = this;
    if (state.name !== "drawing") return;
    const isDragging = state.pressedAt !== null;
    if (isDragging && !this.isNear(at, state.points.at(-1)!, SKIPPED)) state.points.push(at);
    this.state = { ...state, pointer: at };
    this.bench.changed();
  }

  pointerUp(): void {
    const { state } = this;
    if (state.name !== "drawing" || state.pressedAt === null) return;
    const wasDrag = state.points.length > state.pressedAt + 2;
    if (wasDrag && state.pressedAt === 1) this.finish();
    else this.state = { ...state, pressedAt: null };
  }

  finish(): boolean {
    const { state, bench } = this;
    if (state.name !== "drawing") return false;
    this.state = { name: "idle" };
    const drawn = fillPolygon(state.points, bench.size);
    const { selected } = bench;
    if (!drawn.pixels.length) bench.changed();
    else if (state.subtracting && !selected) bench.say("brush.select-first");
    else if (!selected) bench.add("lasso", drawn);
    else {
      const mask = maskOf(selected.content.rle);
      const made = state.subtracting ? subtract(mask, drawn) : union(mask, drawn);
      bench.redraw("lasso", selected, made);
    }
    return true;
  }

  cancel(): boolean {
    const wasBusy = this.state.name === "drawing";
    this.state = { name: "idle" };
    this.bench.changed();
    return wasBusy;
  }

  stroke(): readonly ImagePoint[] | null {
    return this.state.name === "drawing" ? this.state.points : null;
  }

  shapes(): readonly Shape[] {
    const { state } = this;
    if (state.name !== "drawing") return [];
    const points = [...state.points, state.pointer];
    const role = state.subtracting ? "subtract" : "add";
    return [
      { kind: "path", points, width: 0, closed: true, role },
      { kind: "dot", at: state.points[0]!, role },
    ];
  }

  private isNear(a: ImagePoint, b: ImagePoint, screenPixels: number): boolean {
    const reach = screenPixels * this.bench.pixelsPerScreenPixel;
    return Math.hypot(a.x - b.x, a.y - b.y) <= reach;
  }
}

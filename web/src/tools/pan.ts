/** Move the view by dragging. */

import type { Shape } from "../editor/shapes";
import type { ScreenPoint } from "../geometry/frames";
import type { Pointer, Tool, Workbench } from "./tool";

export class PanTool implements Tool {
  readonly cursor = "grab";
  private last: ScreenPoint | null = null;

  constructor(private readonly bench: Workbench) {}

  pointerDown({ screen }: Pointer): void {
    this.last = screen;
  }

  pointerMove({ screen }: Pointer): void {
    if (this.last) this.bench.pan(screen.x - this.last.x, screen.y - this.last.y);
    if (this.last) this.last = screen;
  }

  pointerUp(): void {
    this.last = null;
  }

  cancel(): boolean {
    this.last = null;
    return false;
  }

  shapes(): readonly Shape[] {
    return [];
  }
}

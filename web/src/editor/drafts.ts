/** Keeps what is not a mask yet: clicks and the stroke under way, in case the page dies. */

import type { Database, Draft } from "../outbox/database";
import type { ImagePoint } from "../geometry/frames";
import { imagePoint, screenPoint } from "../geometry/frames";
import type { ToolName } from "../tools";
import type { Editor } from "./editor";

export class Drafts {
  private kept = "";

  constructor(
    private readonly database: Database,
    private readonly imageId: number,
    private readonly editor: Editor,
  ) {}

  /** Write the draft down, if it is another than before. */
  keep(): void {
    const draft = this.now();
    const text = JSON.stringify(draft);
    if (text === this.kept) return;
    this.kept = text;
    void this.database.put("drafts", draft, this.imageId).catch(() => (this.kept = ""));
  }

  /** Ask again what was asked, and finish the stroke that was cut off. */
  async restore(): Promise<void> {
    const draft = await this.database.get("drafts", this.imageId);
    const { editor } = this;
    if (!draft || !editor.prompting.isEmpty) return;
    if (draft.selected) editor.select(draft.selected);
    if (draft.box) {
      const [x0, y0, x1, y1] = draft.box;
      await editor.prompting.drawBox({ x0, y0, x1, y1 });
    }
    for (const [x, y, label] of draft.clicks) await editor.prompting.click(imagePoint(x, y), label);
    if (draft.stroke) this.stroke(draft.stroke.tool as ToolName, draft.stroke.path);
  }

  private stroke(tool: ToolName, path: readonly (readonly [number, number])[]): void {
    const { editor } = this;
    const pointers = path.map(([x, y]) => pointerAt(imagePoint(x, y)));
    const [first, last] = [pointers[0], pointers.at(-1)];
    if (!first || !last) return;
    editor.use(tool);
    editor.pointerDown(first);
    pointers.slice(1).forEach((each) => editor.pointerMove(each));
    editor.pointerUp(last);
  }

  private now(): Draft {
    const { prompting, tool, toolName, selected } = this.editor;
    const { clicks, box } = prompting.prompt;
    const path = tool.stroke?.() ?? null;
    return {
      clicks: clicks.map(({ point, label }) => [point.x, point.y, label] as const),
      box: box && [box.x0, box.y0, box.x1, box.y1],
      stroke: path && { tool: toolName, path: path.map(({ x, y }) => [x, y] as const) },
      selected: selected?.id ?? null,
    };
  }
}

function pointerAt(at: ImagePoint) {
  return { at, screen: screenPoint(at.x, at.y), opposite: false, shift: false };
}

/** All tools by name. */

import { BoxTool } from "./box";
import { BrushTool } from "./brush";
import { LassoTool } from "./lasso";
import { MergeTool } from "./merge";
import { PanTool } from "./pan";
import { PointTool } from "./point";
import { RegionTool } from "./region";
import { SelectTool } from "./select";
import { SplitTool } from "./split";
import type { Tool, Workbench } from "./tool";

export const TOOL_NAMES = [
  "point",
  "box",
  "brush",
  "eraser",
  "lasso",
  "fill-hole",
  "drop-island",
  "split",
  "merge",
  "select",
  "pan",
] as const;

export type ToolName = (typeof TOOL_NAMES)[number];

export function makeTools(bench: Workbench): Record<ToolName, Tool> {
  return {
    point: new PointTool(bench),
    box: new BoxTool(bench),
    brush: new BrushTool(bench, false),
    eraser: new BrushTool(bench, true),
    lasso: new LassoTool(bench),
    "fill-hole": new RegionTool(bench, "hole"),
    "drop-island": new RegionTool(bench, "island"),
    split: new SplitTool(bench),
    merge: new MergeTool(bench),
    select: new SelectTool(bench),
    pan: new PanTool(bench),
  };
}

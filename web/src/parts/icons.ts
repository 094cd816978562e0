/** The tools' signs: one path each, drawn in a square of 24. */

import type { ToolName } from "../tools";

export const ICONS: Record<ToolName, string> = {
  point: "M5 3l6 16 2.2-6.8L20 10zM14 14l6 6",
  box: "M4 4h4M4 4v4M20 4h-4M20 4v4M4 20h4M4 20v-4M20 20h-4M20 20v-4M11 4h2M11 20h2M4 11v2M20 11v2",
  brush: "M20 4c-4 1-9 5-11 9l2 2c4-2 8-7 9-11zM8 14c-3 0-3 4-5 5 3 2 8 1 8-3z",
  eraser: "M14 4l6 6-9 9H7l-4-4zM9 9l6 6M7 19h14",
  lasso: "M12 5c5 0 9 2 9 5s-4 5-9 5-9-2-9-5 4-5 9-5zM6 14c-1 2 0 4 2 4s2 2 1 3",
  "fill-hole": "M12 3a9 9 0 100 18 9 9 0 000-18zM12 8.500v7M8.500 12h7",
  "drop-island": "M8 5a5 5 0 100 10A5 5 0 008 5zM17 14l4 4M21 14l-4 4",
  split: "M4 12c0-4 3-7 7-7M20 12c0 4-3 7-7 7M17 3L7 21",
  merge: "M9 6a6 6 0 100 12A6 6 0 009 6zM15 6a6 6 0 100 12 6 6 0 000-12z",
  select: "M6 3l12 9-5 1 3 6-2.500 1-3-6-4.500 3z",
  pan: "M12 3v18M3 12h18M12 3l-2.500 3M12 3l2.500 3M12 21l-2.500-3M12 21l2.500-3M3 12l3-2.500M3 12l3 2.500M21 12l-3-2.500M21 12l-3 2.500",
};

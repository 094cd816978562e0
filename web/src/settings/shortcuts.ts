/**
 * Every action and its keys, in one table: what `?` shows, what a person can change.
 *
 * A key is written as its modifiers in this order, and what the key types: `ctrl+shift+z`. `ctrl` is
 * also the command key of a Mac. Digits choose categories and cannot be given away.
 */

export const ACTIONS = [
  ["tools", "tool.point", "c"],
  ["tools", "tool.box", "x"],
  ["tools", "tool.brush", "b"],
  ["tools", "tool.eraser", "e"],
  ["tools", "tool.lasso", "l"],
  ["tools", "tool.fill-hole", "h"],
  ["tools", "tool.drop-island", "i"],
  ["tools", "tool.split", "k"],
  ["tools", "tool.merge", "m"],
  ["tools", "tool.select", "v"],
  ["tools", "tool.pan", "g"],
  ["masks", "lead", "a"],
  ["masks", "confirm", "enter"],
  ["masks", "candidate.next", "tab"],
  ["masks", "candidate.previous", "shift+tab"],
  ["masks", "cancel", "escape"],
  ["masks", "undo", "ctrl+z"],
  ["masks", "redo", "ctrl+shift+z"],
  ["masks", "oops", "z"],
  ["masks", "delete", "delete"],
  ["masks", "mask.keep", "s"],
  ["masks", "mask.reject", "d"],
  ["masks", "mask.next", "pagedown"],
  ["masks", "mask.previous", "pageup"],
  ["masks", "turbo", "t"],
  ["masks", "category.none", "`"],
  ["masks", "brush.smaller", "["],
  ["masks", "brush.larger", "]"],
  ["images", "image.done", "n"],
  ["images", "image.next", "."],
  ["images", "image.previous", ","],
  ["images", "image.copy", "y"],
  ["view", "zoom.in", "="],
  ["view", "zoom.out", "-"],
  ["view", "zoom.fit", "f"],
  ["view", "zoom.mask", "shift+f"],
  ["view", "opacity", "o"],
  ["view", "outlines", "u"],
  ["view", "others", "j"],
  ["scribble", "scribble.background", "backspace"],
  ["scribble", "scribble.doubt", "alt+h"],
  ["scribble", "scribble.next", "alt+n"],
  ["scribble", "scribble.masks", "alt+m"],
  ["review", "review.yes", "q"],
  ["review", "review.no", "r"],
  ["review", "review.mend", "w"],
  ["pages", "page.annotate", "alt+1"],
  ["pages", "page.images", "alt+2"],
  ["pages", "page.review", "alt+3"],
  ["pages", "page.statistics", "alt+4"],
  ["pages", "page.members", "alt+5"],
  ["pages", "page.engine", "alt+6"],
  ["pages", "page.scribble", "alt+7"],
  ["pages", "page.guide", "alt+8"],
  ["pages", "theme", "alt+t"],
  ["pages", "language", "alt+l"],
  ["pages", "help", "?"],
] as const;

export type Action = (typeof ACTIONS)[number][1];
export type Keys = Readonly<Partial<Record<Action, string>>>;

export const GROUPS = [...new Set(ACTIONS.map(([group]) => group))];

/** The key of an action: the person's, or the table's. */
export function keyOf(action: Action, changed: Keys): string {
  return changed[action] ?? ACTIONS.find((each) => each[1] === action)![2];
}

/** What a key does. */
export function actionOf(key: string, changed: Keys): Action | undefined {
  return ACTIONS.find((each) => keyOf(each[1], changed) === key)?.[1];
}

/** Write down what was pressed; undefined for a modifier by itself. */
export function pressed(event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): string | undefined {
  if (["Control", "Meta", "Alt", "Shift"].includes(event.key)) return undefined;
  // Alt types other signs on some keyboards: then the place of the key counts.
  const byPlace = event.altKey ? /^(?:Key|Digit)(.)$/.exec(event.code)?.[1] : undefined;
  const key = (byPlace ?? event.key).toLowerCase();
  const isSign = key.length === 1 && !/[a-z0-9]/.test(key);
  const modifiers = [
    event.ctrlKey || event.metaKey ? "ctrl+" : "",
    event.altKey ? "alt+" : "",
    event.shiftKey && !isSign ? "shift+" : "",
  ];
  return modifiers.join("") + (key === " " ? "space" : key);
}

/**
 * Give an action another key.
 *
 * @returns The changed keys, or the action that has the key already.
 */
export function remap(action: Action, key: string, changed: Keys): Keys | Action {
  if (/^[0-9]$/.test(key) || key === "space") return "category.none";
  const holder = actionOf(key, changed);
  return holder && holder !== action ? holder : { ...changed, [action]: key };
}

/** For people: ⌃ and friends are not known to all. */
export function shownKey(key: string): string {
  const names: Record<string, string> = { escape: "Esc", pagedown: "Page ↓", pageup: "Page ↑", delete: "Del", enter: "Enter", tab: "Tab", space: "Space" };
  return key
    .split(/\+(?=.)/)
    .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part[0]!.toUpperCase() + part.slice(1)))
    .join(" ");
}

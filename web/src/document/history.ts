/** What can be undone and redone, as a value; it is kept across reloads. */

import type { Entry } from "./changes";

export interface History {
  readonly done: readonly Entry[];
  readonly undone: readonly Entry[];
}

export const NO_HISTORY: History = { done: [], undone: [] };
const MOST = 300;

export function add(history: History, entry: Entry): History {
  return { done: [...history.done, entry].slice(-MOST), undone: [] };
}

export function stepBack(history: History): History {
  const last = history.done.at(-1);
  if (!last) return history;
  return { done: history.done.slice(0, -1), undone: [...history.undone, last] };
}

export function stepForward(history: History): History {
  const next = history.undone.at(-1);
  if (!next) return history;
  return { done: [...history.done, next], undone: history.undone.slice(0, -1) };
}

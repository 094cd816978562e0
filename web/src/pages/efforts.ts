/** From the server's sums to what is plotted; pure. */

import type { components } from "../api/types";

export type Effort = components["schemas"]["EffortOut"];

/** Null where nothing was measured. */
export function secondsPerMask(effort: Effort): number | null {
  return effort.timed_masks ? effort.seconds / effort.timed_masks : null;
}

export function masksPerImage(effort: Effort): number | null {
  return effort.images ? effort.masks / effort.images : null;
}

export function clicksPerMask(effort: Effort): number | null {
  return effort.masks ? effort.clicks / effort.masks : null;
}

/** One line per person or model over the days: what uPlot takes. */
export interface Series {
  /** Seconds since 1970 at each day's noon, rising. */
  readonly days: number[];
  readonly lines: { readonly name: string; readonly values: (number | null)[] }[];
}

/**
 * Put efforts whose key is a day, or a day, a space and a name, side by side.
 *
 * @param all - What a line of days alone is called.
 */
export function series(efforts: readonly Effort[], value: (effort: Effort) => number | null, all: string): Series {
  const parts = efforts.map((each) => ({ day: each.key.slice(0, 10), name: each.key.slice(11) || all, value: value(each) }));
  const days = [...new Set(parts.map((each) => each.day))].sort();
  const names = [...new Set(parts.map((each) => each.name))].sort();
  const lines = names.map((name) => ({
    name,
    values: days.map((day) => parts.find((each) => each.day === day && each.name === name)?.value ?? null),
  }));
  return { days: days.map((day) => Date.parse(`${day}T12:00:00`) / 1000), lines };
}

/** What a person prefers, kept in this browser. */

import type { Keys } from "./shortcuts";

export interface Preferences {
  language: "en" | "zh";
  theme: "system" | "light" | "dark";
  opacity: number;
  outlines: boolean;
  hideOthers: boolean;
  turbo: boolean;
  /** Whether pre-filled masks follow what the person mends on their image. */
  follows: boolean;
  brushRadius: number;
  keys: Keys;
}

const DEFAULTS: Preferences = {
  language: navigator.language.startsWith("zh") ? "zh" : "en",
  theme: "system",
  opacity: 0.4,
  outlines: true,
  hideOthers: false,
  turbo: false,
  follows: true,
  brushRadius: 12,
  keys: {},
};
const PLACE = "maskmill-preferences";

function load(): Preferences {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(PLACE) ?? "{}") as object) };
  } catch {
    return DEFAULTS;
  }
}

export const preferences: Preferences = $state(load());

/** Change some, and keep them. */
export function prefer(changes: Partial<Preferences>): void {
  Object.assign(preferences, changes);
  localStorage.setItem(PLACE, JSON.stringify(preferences));
}

/** The theme that is shown. */
export function shownTheme(): "light" | "dark" {
  if (preferences.theme !== "system") return preferences.theme;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

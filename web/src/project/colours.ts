/** Colours of masks: the category's, or one that tells neighbours apart. */

import type { Annotation } from "../document/annotation";
import type { Category } from "./project.svelte";

/** Light enough for dark photographs, and apart for most eyes. */
const PALETTE = ["#38bdf8", "#fb923c", "#a3e635", "#e879f9", "#facc15", "#f87171", "#34d399", "#818cf8", "#fb7185", "#22d3ee"];

export function colourOf(annotation: Annotation, categories: readonly Category[]): string {
  const category = categories.find((each) => each.id === annotation.content.categoryId);
  return category?.colour ?? PALETTE[hash(annotation.id) % PALETTE.length]!;
}

function hash(text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) >>> 0;
  return sum;
}

/** Colours of masks: the category's, or one that tells neighbours apart. */

import type { Annotation } from "../document/annotation";
import type { Category } from "./project.svelte";

/** Light enough for dark photographs, apart for most eyes, and none of them the one that is asked for. */
const PALETTE = ["#38bdf8", "#fb923c", "#a3e635", "#e879f9", "#facc15", "#f87171", "#818cf8", "#fb7185", "#c4b5fd"];

/** @param place - Which of the image's masks it is: those that were made one after the other differ. */
export function colourOf(annotation: Annotation, categories: readonly Category[], place: number): string {
  const category = categories.find((each) => each.id === annotation.content.categoryId);
  return category?.colour ?? PALETTE[place % PALETTE.length]!;
}

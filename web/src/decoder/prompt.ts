/**
 * A prompt for one object, and how it is laid out for the decoder: `Predictor._arrange`, mirrored.
 */

import type { Box, ImagePoint, Size } from "../geometry/frames";
import { clipBox, preprocessSize } from "../geometry/frames";

export interface Click {
  readonly point: ImagePoint;
  /** 1 the object, 0 what is not. */
  readonly label: 0 | 1;
}

export interface Prompt {
  readonly clicks: readonly Click[];
  readonly box: Box | null;
}

export const NO_PROMPT: Prompt = { clicks: [], box: null };

const PADDING = -1;
const [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT] = [2, 3];

export function isEmptyPrompt(prompt: Prompt): boolean {
  return prompt.clicks.length === 0 && prompt.box === null;
}

/**
 * Move a prompt into the input frame: points, then the box's corners; without a box, padding.
 *
 * @returns Coordinates x, y, x, y ... in the input frame, and one label per point.
 */
export function arrange(
  prompt: Prompt,
  size: Size,
  inputSide: number,
): { coords: Float32Array<ArrayBuffer>; labels: Float32Array<ArrayBuffer> } {
  const input = preprocessSize(size, inputSide);
  const scale = { x: input.width / size.width, y: input.height / size.height };
  const points = prompt.clicks.map(({ point, label }) => [point.x, point.y, label]);
  if (prompt.box) {
    const box = clipBox(prompt.box, size);
    points.push([box.x0, box.y0, BOX_TOP_LEFT], [box.x1, box.y1, BOX_BOTTOM_RIGHT]);
  } else {
    // The paper's model was trained with this point in a missing box's place.
    points.push([0, 0, PADDING]);
  }
  return {
    coords: Float32Array.from(points.flatMap(([x, y]) => [x! * scale.x, y! * scale.y])),
    labels: Float32Array.from(points.map(([, , label]) => label!)),
  };
}

/** Draws a mask from low-res logits at the size that a question asks for; in the worker, and in the page. */

import type { Mask } from "../geometry/mask";
import { upsample } from "../geometry/upsample";
import type { Candidate, Drawn, ModelShape, Question } from "./messages";

export function drawMask(
  logits: Float32Array,
  { size: { width, height }, longestSide }: Question,
  { lowResSide, inputSide, maskThreshold }: ModelShape,
): Mask {
  const scale = Math.min(1, longestSide / Math.max(width, height));
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  return upsample(logits, lowResSide, inputSide, size, maskThreshold);
}

/** An answer whose mask is drawn when it is first looked at, if the worker did not draw it. */
export function candidateOf(drawn: Drawn, question: Question, shape: ModelShape): Candidate {
  let mask = drawn.mask;
  return {
    ...drawn,
    get mask() {
      return (mask ??= drawMask(drawn.logits, question, shape));
    },
  };
}

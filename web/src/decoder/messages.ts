/** What passes between the page and the decoder's worker. */

import type { Size } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import type { Prompt } from "./prompt";

/** What `/api/model` says that decoding needs. */
export interface ModelShape {
  readonly inputSide: number;
  readonly lowResSide: number;
  readonly maskThreshold: number;
  readonly embeddingShapes: readonly (readonly number[])[];
  readonly embeddingInputs: readonly string[];
}

export interface Question {
  readonly imageKey: string;
  readonly size: Size;
  readonly prompt: Prompt;
  /** Low-res logits of the candidate that was taken before; null on the first click. */
  readonly maskInput: Float32Array | null;
  /** Longer side at which masks are wanted; a hover's preview needs no more than the screen. */
  readonly longestSide: number;
}

/** One of the decoder's masks for a prompt, as the worker sends it. */
export interface Drawn {
  readonly predictedIou: number;
  /** Un-thresholded, `lowResSide` squared, over the padded input frame. */
  readonly logits: Float32Array<ArrayBuffer>;
  /** Cells of the logits that are above the threshold. */
  readonly cells: number;
  /** At the size that was asked for; null where it is not the first to be shown. */
  readonly mask: Mask | null;
}

/** One of the masks for a prompt: the decoder's, or a region that is offered. */
export interface Candidate extends Drawn {
  /** Drawn from the logits when first looked at: of three, people mostly see one. */
  readonly mask: Mask;
  /** Outlined by the region head. */
  readonly isOffered?: boolean;
}

/** Which of a prompt's answers is shown first: the best of a click's, else the first, which is meant for clear prompts. */
export function firstShown(prompt: Prompt, answers: readonly { readonly predictedIou: number }[]): number {
  if (prompt.clicks.length !== 1) return 0;
  return answers.reduce((first, each, i) => (each.predictedIou > answers[first]!.predictedIou ? i : first), 0);
}

export type ToWorker =
  | {
      readonly kind: "open";
      readonly model: ModelShape;
      readonly decoderUrl: string;
      readonly maskDecoderUrl: string;
      readonly threads: number;
    }
  | { readonly kind: "embed"; readonly imageKey: string; readonly halves: ArrayBuffer }
  | { readonly kind: "forget"; readonly imageKey: string }
  | { readonly kind: "decode"; readonly id: number; readonly question: Question };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly id: number | null; readonly reason: string }
  | {
      readonly kind: "decoded";
      readonly id: number;
      readonly candidates: readonly Drawn[];
      /** Milliseconds inside the runtime. */
      readonly decodeMs: number;
    };

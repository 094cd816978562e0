/** Decodes on the server, for browsers in which WebAssembly does not run. */

import { post } from "../api/client";
import type { components } from "../api/types";
import { decode } from "../geometry/rle";
import { cellsAbove } from "../geometry/upsample";
import type { Decoder } from "./client";
import { widen } from "./float16";
import type { Candidate, Question } from "./messages";

type Answer = components["schemas"]["DecodeOut"];

export class ServerDecoder implements Decoder {
  private latestHover = 0;

  constructor(
    private readonly modelId: string,
    private readonly threshold: number,
  ) {}

  async click(question: Question): Promise<readonly Candidate[]> {
    const { clicks, box } = question.prompt;
    const single = clicks.length > 1 || box !== null;
    const answer = await post<Answer>(`/api/images/${question.imageKey}/decode`, {
      points: clicks.map(({ point }) => [point.x, point.y]),
      labels: clicks.map(({ label }) => label),
      box: box && [box.x0, box.y0, box.x1, box.y1],
      mask_input: question.maskInput && toBase64(question.maskInput),
      multimask_output: !single,
      model_id: this.modelId,
    });
    return answer.candidates.map((each) => {
      const logits = widen(new Uint16Array(fromBase64(each.low_res_mask_logits)));
      const cells = cellsAbove(logits, this.threshold);
      return { predictedIou: each.predicted_iou, logits, cells, mask: decode(each.mask) };
    });
  }

  /** Previews would cross the network with every move: only where the pointer rests. */
  async hover(question: Question): Promise<readonly Candidate[] | undefined> {
    const mine = ++this.latestHover;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return mine === this.latestHover ? this.click(question) : undefined;
  }
}

function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer;
}

/** Little-endian float16, as the server writes and reads logits. */
function toBase64(logits: Float32Array): string {
  const bytes = new Uint8Array(new Uint16Array(Array.from(logits, narrow)).buffer);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The nearest float16, cut off; logits are a few dozen at most. */
function narrow(value: number): number {
  const magnitude = Math.min(Math.abs(value), 65504);
  const sign = value < 0 ? 0x8000 : 0;
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  return (sign | ((exponent + 15) << 10)) + Math.round((magnitude / 2 ** exponent - 1) * 1024);
}

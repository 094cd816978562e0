/**
 * Runs the decoder's two ONNX files in WebAssembly; everything of onnxruntime-web is in here.
 *
 * The runtime's files are served by ourselves. Threads need a page that is isolated from others
 * (COOP and COEP); where it is not, one thread runs.
 */

import * as ort from "onnxruntime-web/wasm";
import glueUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { widen } from "./float16";
import type { ModelShape, Question } from "./messages";
import { arrange } from "./prompt";

export type Embedding = Readonly<Record<string, ort.Tensor>>;

export interface Decoded {
  /** Candidates one behind the other, `lowResSide` squared each. */
  readonly logits: Float32Array;
  readonly predictedIou: Float32Array;
}

export class Runtime {
  private opening: Promise<ort.InferenceSession> | undefined;

  private constructor(
    private readonly model: ModelShape,
    private readonly plain: ort.InferenceSession,
    private readonly maskDecoderUrl: string,
  ) {}

  static async open(
    model: ModelShape,
    decoderUrl: string,
    maskDecoderUrl: string,
    threads: number,
  ): Promise<Runtime> {
    ort.env.wasm.wasmPaths = { mjs: glueUrl, wasm: wasmUrl };
    ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1;
    ort.env.logLevel = "error";
    const plain = await openSession(decoderUrl);
    const runtime = new Runtime(model, plain, maskDecoderUrl);
    // The second file is wanted at the second click; nobody waits for it before the first.
    void runtime.withMask().catch(() => undefined);
    return runtime;
  }

  /** Widen an embedding that came as float16, and name its parts. */
  embedding(halves: ArrayBuffer): Embedding {
    const all = new Uint16Array(halves);
    const parts: Record<string, ort.Tensor> = {};
    let start = 0;
    for (const [i, shape] of this.model.embeddingShapes.entries()) {
      const length = shape.reduce((product, side) => product * side, 1);
      const numbers = widen(all.subarray(start, start + length));
      parts[this.model.embeddingInputs[i]!] = new ort.Tensor("float32", numbers, [1, ...shape]);
      start += length;
    }
    if (start !== all.length) {
      throw new Error(`the embedding has ${all.length} numbers, not ${start}; reload the page`);
    }
    return parts;
  }

  /** Resolve when nothing is being opened any more. */
  async settled(): Promise<void> {
    await this.withMask().catch(() => undefined);
  }

  /** The embedding of no image, to run on. */
  nothing(): Embedding {
    const counts = this.model.embeddingShapes.map((shape) => shape.reduce((a, b) => a * b, 1));
    return this.embedding(new Uint16Array(counts.reduce((a, b) => a + b, 0)).buffer);
  }

  /** Answer one prompt with its candidates. */
  async decode(embedding: Embedding, question: Question): Promise<Decoded> {
    const { coords, labels } = arrange(question.prompt, question.size, this.model.inputSide);
    const low = this.model.lowResSide;
    const feeds: Record<string, ort.Tensor> = {
      ...embedding,
      point_coords: new ort.Tensor("float32", coords, [1, labels.length, 2]),
      point_labels: new ort.Tensor("float32", labels, [1, labels.length]),
    };
    let session = this.plain;
    if (question.maskInput) {
      const shape = [1, 1, low, low];
      feeds["mask_input"] = new ort.Tensor("float32", question.maskInput, shape);
      session = await this.withMask();
    }
    const outputs = await session.run(feeds);
    const logits = outputs["low_res_mask_logits"]!.data as Float32Array;
    const predictedIou = outputs["predicted_iou"]!.data as Float32Array;
    // The first mask answers a prompt that is clear; a single click is not, and gets the others.
    const isAmbiguous = question.prompt.clicks.length === 1 && !question.prompt.box;
    const first = isAmbiguous ? 1 : 0;
    return { logits: logits.slice(first * low * low), predictedIou: predictedIou.slice(first) };
  }

  /** The decoder that takes a mask along; fetched again if the server was away the last time. */
  private withMask(): Promise<ort.InferenceSession> {
    const opening = (this.opening ??= openSession(this.maskDecoderUrl));
    opening.catch(() => (this.opening = undefined));
    return opening;
  }
}

async function openSession(url: string): Promise<ort.InferenceSession> {
  const answer = await fetch(url).catch(() => {
    throw new Error("the server could not be reached for the decoder; try again");
  });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}; reload the page`);
  return ort.InferenceSession.create(await answer.arrayBuffer(), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    enableMemPattern: false,
  });
}

/**
 * The decoder's worker by itself, for `benchmarks/browser.py`: prompts in, milliseconds out.
 *
 * `load` hands over one image's embedding, `ask` decodes a prompt, and tells how long the runtime
 * took and how long the page waited.
 */

import type { FromWorker, ModelShape, Question, ToWorker } from "../src/decoder/messages";

const worker = new Worker(new URL("../src/decoder/worker.ts", import.meta.url), { type: "module" });
const waiting = new Map<number, (answer: FromWorker) => void>();
let asked = 0;

worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
  waiting.get(data.kind === "decoded" || data.kind === "failed" ? (data.id ?? -1) : -1)?.(data);
};

function send(message: ToWorker, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer);
}

const bench = {
  isolated: () => self.crossOriginIsolated,

  async open(model: ModelShape, threads: number): Promise<number> {
    const started = performance.now();
    const ready = new Promise<FromWorker>((resolve) => waiting.set(-1, resolve));
    const [decoderUrl, maskDecoderUrl] = ["/model/decoder.onnx", "/model/decoder_mask.onnx"];
    send({ kind: "open", model, decoderUrl, maskDecoderUrl, threads });
    const answer = await ready;
    if (answer.kind === "failed") throw new Error(answer.reason);
    return performance.now() - started;
  },

  async load(imageKey: string): Promise<number> {
    const halves = await (await fetch(`/embeddings/${imageKey}`)).arrayBuffer();
    const bytes = halves.byteLength;
    send({ kind: "embed", imageKey, halves }, [halves]);
    return bytes;
  },

  async ask(question: Question): Promise<{ decode: number; waited: number; iou: number[] }> {
    const id = asked++;
    const started = performance.now();
    const answer = await new Promise<FromWorker>((resolve) => {
      waiting.set(id, resolve);
      send({ kind: "decode", id, question });
    });
    waiting.delete(id);
    if (answer.kind !== "decoded") throw new Error(JSON.stringify(answer));
    const waited = performance.now() - started;
    const iou = answer.candidates.map((each) => each.predictedIou);
    return { decode: answer.decodeMs, waited, iou };
  },
};

Object.assign(window, { bench });

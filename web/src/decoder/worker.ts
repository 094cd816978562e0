/** The decoder's worker: opens the runtime, keeps embeddings, answers prompts one at a time. */

import { imagePoint } from "../geometry/frames";
import { cellsAbove } from "../geometry/upsample";
import { drawMask } from "./drawing";
import type { Drawn, FromWorker, ModelShape, Question, ToWorker } from "./messages";
import { firstShown } from "./messages";
import type { Embedding } from "./runtime";
import { Runtime } from "./runtime";

let opened: Promise<Runtime> | undefined;
let model: ModelShape | undefined;
const embeddings = new Map<string, Promise<Embedding>>();

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "open":
      model = data.model;
      opened = Runtime.open(data.model, data.decoderUrl, data.maskDecoderUrl, data.threads);
      opened.then((it) => {
        say({ kind: "ready" });
        void warmUp(it, data.model);
      }, fail(null));
      break;
    case "embed":
      embeddings.set(data.imageKey, runtime().then((it) => it.embedding(data.halves)));
      embeddings.get(data.imageKey)?.catch(fail(null));
      break;
    case "forget":
      embeddings.delete(data.imageKey);
      break;
    case "decode":
      askedAt = performance.now();
      queue = queue.then(() => answer(data.id, data.question).catch(fail(data.id)));
      break;
  }
};

/**
 * Prompts on nothing before the first real ones. Browsers compile WebAssembly well only what has run
 * for a while: measured, the first 18 prompts took 75 ms each, the next 12 some 45, all others 25.
 */
const WARM_UPS = 30;
/** Milliseconds without a real prompt before the next such prompt: nobody is to wait for nothing. */
const REST = 250;
let askedAt = -Infinity;

async function warmUp(it: Runtime, shape: ModelShape): Promise<void> {
  const size = { width: shape.inputSide, height: shape.inputSide };
  const middle = imagePoint(size.width / 2, size.height / 2);
  const prompt = { clicks: [{ point: middle, label: 1 as const }], box: null };
  const question = { imageKey: "", size, prompt, maskInput: null, longestSide: Infinity };
  const nothing = it.nothing();
  await it.settled();
  for (let i = 0; i < WARM_UPS; i++) {
    const turn = queue.then(async () => {
      const { logits } = await it.decode(nothing, question);
      drawMask(logits.subarray(0, shape.lowResSide ** 2), question, { ...shape, maskThreshold: -Infinity });
    });
    // If it fails, nobody was waiting: those who ask are told of their own failure.
    queue = turn.catch(() => undefined);
    await queue;
    do await new Promise((done) => setTimeout(done, 10));
    while (performance.now() - askedAt < REST);
  }
}

/** One prompt at a time: the runtime's threads are shared. */
let queue: Promise<unknown> = Promise.resolve();

async function answer(id: number, question: Question): Promise<void> {
  const embedding = embeddings.get(question.imageKey);
  if (!embedding || !model) throw new Error("the image's embedding is not here yet; try again");
  const it = await runtime();
  const ready = await embedding;
  const started = performance.now();
  const decoded = await it.decode(ready, question);
  const decodeMs = performance.now() - started;
  const candidates = drawnOf(decoded.logits, decoded.predictedIou, question, model);
  const transfer = candidates.flatMap(({ logits, mask }) => [logits.buffer, ...(mask ? [mask.pixels.buffer] : [])]);
  say({ kind: "decoded", id, candidates, decodeMs }, transfer as ArrayBuffer[]);
}

function drawnOf(logits: Float32Array, predictedIou: Float32Array, question: Question, shape: ModelShape): Drawn[] {
  const cells = shape.lowResSide ** 2;
  const each = Array.from(predictedIou, (iou, i) => ({
    predictedIou: iou,
    logits: logits.slice(i * cells, (i + 1) * cells),
  }));
  const first = firstShown(question.prompt, each);
  return each.map((answer, i) => ({
    ...answer,
    cells: cellsAbove(answer.logits, shape.maskThreshold),
    mask: i === first ? drawMask(answer.logits, question, shape) : null,
  }));
}

function runtime(): Promise<Runtime> {
  return opened ?? Promise.reject(new Error("the decoder was not opened"));
}

function fail(id: number | null): (error: unknown) => void {
  return (error) => say({ kind: "failed", id, reason: error instanceof Error ? error.message : String(error) });
}

function say(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, { transfer });
}

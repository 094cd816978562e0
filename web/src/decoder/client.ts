/**
 * Asks for masks: the worker where WebAssembly runs, else the server.
 *
 * Of hovers only the last one matters: one is under way, at most one waits, older ones are dropped.
 */

import { candidateOf } from "./drawing";
import type { Candidate, FromWorker, ModelShape, Question, ToWorker } from "./messages";

/** Answers prompts; undefined for a hover that a later one has overtaken. */
export interface Decoder {
  readonly click: (question: Question) => Promise<readonly Candidate[]>;
  readonly hover: (question: Question) => Promise<readonly Candidate[] | undefined>;
}

interface Waiting {
  readonly question: Question;
  readonly resolve: (candidates: readonly Candidate[]) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerDecoder implements Decoder {
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;
  private hovering: Promise<unknown> | undefined;
  private latestHover = 0;
  /** Rejects if the runtime could not be opened. */
  readonly ready: Promise<void>;

  constructor(
    private readonly worker: Worker,
    private readonly model: ModelShape,
    urls: { decoder: string; maskDecoder: string },
    threads = threadsFor(navigator.hardwareConcurrency),
  ) {
    this.ready = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.kind === "ready") resolve();
        else if (data.kind === "failed" && data.id === null) reject(new Error(data.reason));
        else this.settle(data);
      };
      worker.onerror = (event) => reject(new Error(event.message));
    });
    const { decoder, maskDecoder } = urls;
    this.send({ kind: "open", model, decoderUrl: decoder, maskDecoderUrl: maskDecoder, threads });
  }

  /** Hand an image's embedding over; the worker keeps it until it is forgotten. */
  embed(imageKey: string, halves: ArrayBuffer): void {
    this.send({ kind: "embed", imageKey, halves }, [halves]);
  }

  forget(imageKey: string): void {
    this.send({ kind: "forget", imageKey });
  }

  click(question: Question): Promise<readonly Candidate[]> {
    return new Promise((resolve, reject) => {
      const id = this.asked++;
      this.waiting.set(id, { question, resolve, reject });
      this.send({ kind: "decode", id, question });
    });
  }

  async hover(question: Question): Promise<readonly Candidate[] | undefined> {
    const mine = ++this.latestHover;
    while (this.hovering) {
      await this.hovering.catch(() => undefined);
      if (mine !== this.latestHover) return undefined;
    }
    const answer = this.click(question);
    this.hovering = answer;
    try {
      return await answer;
    } finally {
      this.hovering = undefined;
    }
  }

  private settle(data: Exclude<FromWorker, { kind: "ready" }>): void {
    const waiting = data.id === null ? undefined : this.waiting.get(data.id);
    if (data.id !== null) this.waiting.delete(data.id);
    if (!waiting) return;
    if (data.kind === "failed") waiting.reject(new Error(data.reason));
    else waiting.resolve(data.candidates.map((each) => candidateOf(each, waiting.question, this.model)));
  }

  private send(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
}

/** Measured: on a busy machine with two cores, two threads wait for one another (see web.md). */
export function threadsFor(cores: number): number {
  return Math.max(1, Math.min(4, Math.floor(cores / 2)));
}

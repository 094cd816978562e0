/** Fetches embeddings once, hands them to the worker, keeps a few, and looks ahead. */

import { Offline, Refused, request } from "../api/client";
import type { WorkerDecoder } from "./client";

/** An image whose embedding may be wanted. */
export interface Embeddable {
  readonly id: number;
  readonly embedding_url: string;
}

const KEPT = 8;

export class Embeddings {
  private readonly loaded = new Map<string, Promise<void>>();

  constructor(
    private readonly decoder: WorkerDecoder,
    private readonly pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms)),
  ) {}

  /** Resolve once prompts on this image can be decoded. */
  need(image: Embeddable): Promise<void> {
    const key = String(image.id);
    const known = this.loaded.get(key);
    if (known) this.loaded.delete(key);
    const loading = known ?? this.load(image, Infinity);
    this.loaded.set(key, loading);
    loading.catch(() => this.loaded.delete(key));
    this.forgetOld();
    return loading;
  }

  /** Fetch what is likely wanted next; nobody is told if that fails. */
  async prefetch(images: readonly Embeddable[]): Promise<void> {
    for (const image of images) {
      const key = String(image.id);
      if (this.loaded.has(key)) continue;
      const loading = this.load(image, 1);
      this.loaded.set(key, loading);
      await loading.catch(() => this.loaded.delete(key));
    }
  }

  private async load(image: Embeddable, tries: number): Promise<void> {
    for (let i = 1; ; i++) {
      try {
        const answer = await request("GET", image.embedding_url);
        this.decoder.embed(String(image.id), await answer.arrayBuffer());
        return;
      } catch (error) {
        if (i >= tries || !isWorthWaiting(error)) throw error;
        const seconds = error instanceof Refused ? (error.retryAfter ?? 1) : 1;
        await this.pause(Math.min(seconds, 2) * 500);
      }
    }
  }

  private forgetOld(): void {
    for (const key of [...this.loaded.keys()].slice(0, -KEPT)) {
      this.loaded.delete(key);
      this.decoder.forget(key);
    }
  }
}

function isWorthWaiting(error: unknown): boolean {
  return error instanceof Offline || (error instanceof Refused && error.status === 503);
}

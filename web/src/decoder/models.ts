/**
 * The models that answer prompts: each has its own decoder, and its own embeddings.
 *
 * While a promoted model's embeddings are being computed, some images are still answered by the model
 * before. Each image says which one; nothing of one model ever meets the other's.
 */

import { get } from "../api/client";
import type { components } from "../api/types";
import type { ImageRow } from "../project/project.svelte";
import type { Decoder } from "./client";
import { WorkerDecoder } from "./client";
import { Embeddings } from "./embeddings";
import { ServerDecoder } from "./server";

type ModelOut = components["schemas"]["ModelOut"];

/** A model that answers prompts, in this browser or on the server. */
interface Opened {
  readonly decoder: Decoder;
  /** Undefined where the server decodes. */
  readonly embeddings: Embeddings | undefined;
  readonly close: () => void;
}

/** Models that stay open: the current one, and the one before. */
const KEPT = 2;

export class Models {
  private readonly opened = new Map<string, Promise<Opened>>();

  /** @param onServer - Told once that the server has to decode. */
  constructor(private readonly onServer: (isServer: boolean) => void) {}

  /** Resolve once prompts on an image can be decoded. */
  async prepare(image: ImageRow): Promise<void> {
    const { embeddings } = await this.open(image.model_id);
    await embeddings?.need(image);
  }

  async prefetch(images: readonly ImageRow[]): Promise<void> {
    for (const image of images) {
      const { embeddings } = await this.open(image.model_id);
      await embeddings?.prefetch([image]);
    }
  }

  /** What answers prompts on an image, with its own model. */
  decoderOf({ model_id }: ImageRow): Decoder {
    return {
      click: async (question) => (await this.open(model_id)).decoder.click(question),
      hover: async (question) => (await this.open(model_id)).decoder.hover(question),
    };
  }

  /** Open a model, if it is not; those not used for longest are closed. */
  open(id: string): Promise<Opened> {
    const known = this.opened.get(id);
    const opening = known ?? this.begin(id);
    this.opened.delete(id);
    this.opened.set(id, opening);
    opening.catch(() => this.opened.delete(id));
    for (const old of [...this.opened.keys()].slice(0, -KEPT)) {
      void this.opened.get(old)?.then((it) => it.close()).catch(() => undefined);
      this.opened.delete(old);
    }
    return opening;
  }

  private async begin(id: string): Promise<Opened> {
    const model = await get<ModelOut>(`/api/model?id=${encodeURIComponent(id)}`);
    try {
      const opened = await inThisBrowser(model);
      this.onServer(false);
      return opened;
    } catch (error) {
      console.warn("The server decodes, because this browser cannot:", error);
      this.onServer(true);
      return { decoder: new ServerDecoder(id, model.mask_threshold), embeddings: undefined, close: () => undefined };
    }
  }
}

async function inThisBrowser(model: ModelOut): Promise<Opened> {
  if (!model.decoder_url || !model.decoder_mask_url) throw new Error("no decoder to fetch");
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const shape = {
    inputSide: model.input_side,
    lowResSide: model.low_res_side,
    maskThreshold: model.mask_threshold,
    embeddingShapes: model.embedding_shapes,
    embeddingInputs: model.embedding_inputs,
  };
  const urls = { decoder: model.decoder_url, maskDecoder: model.decoder_mask_url };
  const decoder = new WorkerDecoder(worker, shape, urls);
  try {
    await decoder.ready;
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return { decoder, embeddings: new Embeddings(decoder), close: () => worker.terminate() };
}

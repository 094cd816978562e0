/** What happens in the project, as the server tells it; comes back by itself after a loss. */

import type { components } from "./types";

export interface AnnotationEvent {
  readonly sequence: number;
  readonly id: string;
  readonly image_id: number;
  readonly version: number;
  readonly deleted: boolean;
  readonly changed_by: string;
}

/** How far a round is, and the points that its curve has grown by. */
export type RoundEvent = Omit<components["schemas"]["WorkingOut"], "resting"> & {
  readonly points: readonly components["schemas"]["PointOut"][];
};

/** An image was looked at by the classifier that strokes have trained. */
export interface ScribbledEvent {
  readonly image_id: number;
  readonly run?: number;
  readonly doubt?: number;
  readonly passed?: boolean | null;
  /** Why it could not be looked at. */
  readonly trouble?: string;
}

export interface Heard {
  readonly annotation: (event: AnnotationEvent) => void;
  readonly embedding: (imageId: number) => void;
  readonly image: (imageId: number) => void;
  readonly progress: (embedded: number, images: number) => void;
  readonly round: (event: RoundEvent) => void;
  /** The engine has something new to show. */
  readonly engine: () => void;
  /** A category has another name, colour or key, or went. */
  readonly category: () => void;
  /** Somebody drew on an image. */
  readonly strokes: (imageId: number, version: number) => void;
  /** Visual Prompting has come further. */
  readonly scribble: () => void;
  readonly scribbled: (event: ScribbledEvent) => void;
  /** Another model is current. */
  readonly model: (id: string) => void;
  /** Whether the server is there. */
  readonly connected: (is: boolean) => void;
}

/** Milliseconds until the server is asked again that closed the door. */
const PAUSE = 3000;

/** Listen until the returned function is called. */
export function listen(heard: Partial<Heard>): () => void {
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function open(): void {
    source = new EventSource("/api/events");
    const on = <T>(kind: string, handle: (data: T) => void) =>
      source.addEventListener(kind, (event) => handle(JSON.parse((event as MessageEvent<string>).data) as T));
    on<AnnotationEvent>("annotation", (data) => heard.annotation?.(data));
    on<{ image_id: number }>("embedding", (data) => heard.embedding?.(data.image_id));
    on<{ image_id: number }>("image", (data) => heard.image?.(data.image_id));
    on<{ embedded: number; images: number }>("progress", (data) =>
      heard.progress?.(data.embedded, data.images),
    );
    on<RoundEvent>("round", (data) => heard.round?.(data));
    on<unknown>("engine", () => heard.engine?.());
    on<unknown>("category", () => heard.category?.());
    on<{ image_id: number; version: number }>("strokes", (data) => heard.strokes?.(data.image_id, data.version));
    on<unknown>("scribble", () => heard.scribble?.());
    on<ScribbledEvent>("scribbled", (data) => heard.scribbled?.(data));
    on<{ model_id: string }>("model", (data) => heard.model?.(data.model_id));
    source.onopen = () => heard.connected?.(true);
    source.onerror = () => {
      heard.connected?.(false);
      // A lost connection comes back by itself. A refusal (nobody is signed in, a proxy without its
      // server) does not: browsers give up for good.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, PAUSE);
    };
  }

  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

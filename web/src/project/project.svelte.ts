/**
 * What all pages share: who is here, the categories, the model's decoder, the outbox, the events.
 */

import { get, Offline, post, Refused, request } from "../api/client";
import { listen } from "../api/events";
import type { AnnotationEvent, RoundEvent, ScribbledEvent } from "../api/events";
import type { components } from "../api/types";
import type { Decoder } from "../decoder/client";
import { Models } from "../decoder/models";
import type { Database, Letter } from "../outbox/database";
import { openDatabase } from "../outbox/database";
import type { Outcome, OutboxState } from "../outbox/outbox";
import { Outbox } from "../outbox/outbox";

type Wire = components["schemas"];
export type Category = Wire["CategoryOut"];
export type ImageRow = Wire["ImageOut"];
export type Session = Wire["SessionOut"];

type AnnotationListener = (event: AnnotationEvent) => void;

export class Project {
  categories: Category[] = $state([]);
  outboxState: OutboxState = $state({ waiting: 0, refused: 0, trouble: null });
  connected = $state(true);
  /** Images whose strokes the server has not got yet. */
  strokesWaiting = $state(0);
  progress = $state({ embedded: 0, images: 0 });
  /** `opening` until prompts can be decoded; `server` where WebAssembly does not run. */
  decoding: "opening" | "browser" | "server" = $state("opening");
  readonly outbox: Outbox;
  readonly annotationListeners = new Set<AnnotationListener>();
  readonly letterListeners = new Set<(letter: Letter, answer: unknown) => void>();
  readonly refusalListeners = new Set<(letter: Letter) => void>();
  /** Called when the server is there again: what was said meanwhile may have been missed. */
  readonly returnListeners = new Set<() => void>();
  private readonly endListening: () => void;
  /** Called when the engine has something new to show; with how far a round is, where it says so. */
  readonly engineListeners = new Set<(working: RoundEvent | null) => void>();
  /** Called when an image was scribbled through, and with null when the classifier is another one. */
  readonly scribbleListeners = new Set<(event: ScribbledEvent | null) => void>();
  readonly strokesListeners = new Set<(imageId: number, version: number) => void>();
  private readonly models = new Models((isServer) => (this.decoding = isServer ? "server" : "browser"));

  private constructor(
    readonly session: Session,
    readonly database: Database,
  ) {
    this.progress = { embedded: session.embedded, images: session.images };
    this.outbox = new Outbox(database, {
      send: (letter) => sendLetter(letter),
      onDone: (letter, answer) => this.letterListeners.forEach((each) => each(letter, answer)),
      onRefused: (letter) => this.refusalListeners.forEach((each) => each(letter)),
      onState: (state) => (this.outboxState = state),
    });
    this.endListening = listen({
      annotation: (event) => this.annotationListeners.forEach((each) => each(event)),
      progress: (embedded, images) => (this.progress = { embedded, images }),
      connected: (is) => this.hear(is),
      round: (event) => this.engineListeners.forEach((each) => each(event)),
      category: () => void this.loadCategories().catch(() => undefined),
      strokes: (imageId, version) => this.strokesListeners.forEach((each) => each(imageId, version)),
      scribble: () => this.scribbleListeners.forEach((each) => each(null)),
      scribbled: (event) => this.scribbleListeners.forEach((each) => each(event)),
      engine: () => this.engineListeners.forEach((each) => each(null)),
      model: (id) => void this.models.open(id),
    });
    void get<Wire["ModelOut"]>("/api/model").then(({ id }) => this.models.open(id), () => undefined);
    this.catchUp();
  }

  static async open(session: Session): Promise<Project> {
    const database = await openDatabase(session.project_uid);
    return new Project(session, database);
  }

  /** What answers prompts on an image. */
  decoderOf(image: ImageRow): Decoder {
    return this.models.decoderOf(image);
  }

  /** Resolve once prompts on an image can be decoded. */
  async prepare(image: ImageRow): Promise<void> {
    await this.models.prepare(image);
  }

  async prefetch(images: readonly ImageRow[]): Promise<void> {
    await this.models.prefetch(images);
  }

  async loadCategories(): Promise<void> {
    this.categories = (await get<Wire["CategoriesOut"]>("/api/categories")).categories;
  }

  async addCategory(name: string): Promise<Category> {
    const known = this.categories.find((each) => each.name === name);
    if (known) return known; // it keeps its key
    const used = new Set(this.categories.map((each) => each.digit));
    const digit = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0].find((each) => !used.has(each)) ?? null;
    const made = await post<Category>("/api/categories", { name, digit });
    await this.loadCategories();
    return made;
  }

  categoryOf(id: number | null): Category | undefined {
    return this.categories.find((each) => each.id === id);
  }

  /** The same person has signed in again: everything stays open, and what waited is sent. */
  resume(): void {
    void this.outbox.deliver();
  }

  close(): void {
    this.endListening();
    this.outbox.stop();
    this.database.close();
  }

  private hear(connected: boolean): void {
    const isBack = connected && !this.connected;
    this.connected = connected;
    if (!isBack) return;
    this.catchUp();
    this.returnListeners.forEach((each) => each());
  }

  /** Send what waited, and learn what others named; if the server is away, it is done when it is back. */
  private catchUp(): void {
    void this.outbox.deliver();
    void this.loadCategories().catch(() => undefined);
  }
}

/** Send one operation once; what came of it is a value. */
async function sendLetter(letter: Letter): Promise<Outcome> {
  try {
    const answer = await post("/api/operations", { op_id: letter.opId, changes: letter.steps });
    return { kind: "done", answer };
  } catch (error) {
    if (error instanceof Offline) return { kind: "later", why: "offline" };
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) return { kind: "later", why: "signed-out" };
    if (error.status === 429 || error.status >= 500) return { kind: "later", why: "offline" };
    const current = (error.body as { current?: unknown } | null)?.current ?? null;
    return { kind: "refused", reason: error.message, current };
  }
}

export async function signOut(): Promise<void> {
  await request("DELETE", "/api/session");
}

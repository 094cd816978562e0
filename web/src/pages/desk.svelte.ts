/** What lies on the annotator's desk: the open image, what lies around it, and how the next one comes. */

import { Offline, Refused } from "../api/client";
import { Picture } from "../canvas/picture";
import * as flow from "../editor/flow";
import { ImageSession } from "../editor/image_session.svelte";
import type { Size } from "../geometry/frames";
import { say } from "../i18n/translate.svelte";
import type { ImageRow, Project } from "../project/project.svelte";
import { go } from "./routes.svelte";

export interface DeskDoors {
  readonly redraw: () => void;
  readonly screen: () => Size;
}

/** Milliseconds between two looks for a server or an image that is not there yet. */
const PAUSE = 1000;

export class Desk {
  session: ImageSession | undefined = $state();
  picture: Picture | undefined = $state.raw();
  around: flow.Around = $state.raw({ before: null, behind: null, queued: null });
  /** Why the queue chose the image; null where a person did. */
  reason: string | null = $state(null);
  /** The queue had nothing. */
  isEmpty = $state(false);
  /** Why an image cannot be opened. */
  trouble: string | null = $state(null);
  /** What the person is told until the next key. */
  message = $state("");
  private opening = new AbortController();

  constructor(
    private readonly project: Project,
    private readonly doors: DeskDoors,
  ) {}

  /** Open an image, however long the server takes. */
  async open(id: number): Promise<void> {
    this.leave();
    const { signal } = (this.opening = new AbortController());
    const { project, doors } = this;
    try {
      const image = await patiently(signal, () => flow.imageOf(id));
      const around = { say: (said: string) => this.tell(said), redraw: doors.redraw };
      const session = image && (await patiently(signal, () => ImageSession.open(project, image, around)));
      if (!session || signal.aborted) return session?.close();
      this.begin(session);
      const picture = await patiently(signal, async () => Picture.of(await flow.fileOf(session.image)));
      if (signal.aborted) return picture?.close();
      this.picture = picture;
      this.around = (await patiently(signal, () => flow.around(id))) ?? this.around;
      const { queued, behind, before } = this.around;
      void project.prefetch([queued, behind, before].filter((each) => each !== null));
    } catch (error) {
      if (!signal.aborted) this.trouble = error instanceof Error ? error.message : String(error);
    }
  }

  /** Put everything away. */
  leave(): void {
    this.opening.abort();
    if (this.session) flow.release(this.session.image.id);
    this.session?.close();
    this.picture?.close();
    [this.session, this.picture, this.message, this.trouble] = [undefined, undefined, "", null];
  }

  /** Go to the image that the queue gives; waits while there is none. */
  async next(after: number | null): Promise<void> {
    const { signal } = this.opening;
    const found = await patiently(signal, () => flow.nextInQueue(after));
    if (!found || signal.aborted) return;
    [this.isEmpty, this.reason] = [found.image === null, found.reason];
    if (found.image) return go("annotate", found.image.id);
    if (after !== null) return go("annotate");
    // A new project's images are still coming in; a team's may come back from review.
    if (this.session) this.leave();
    const waiting = signal.aborted ? (this.opening = new AbortController()).signal : signal;
    setTimeout(() => waiting.aborted || void this.next(null), PAUSE);
  }

  /** The image is done: its masks first, so that a reviewer sees them all. */
  async done(): Promise<void> {
    const { session, project } = this;
    if (!session) return;
    session.editor.confirm();
    try {
      await project.outbox.deliver();
      if (!(await session.rests())) return; // its message says so; the next Done is for what is seen
      await flow.finish(session.image.id);
    } catch (error) {
      return this.tell(error instanceof Offline ? "done.offline" : String(error));
    }
    await this.next(session.image.id);
  }

  /** Take the selected mask along to the image behind this one. */
  copy(): void {
    const selected = this.session?.editor.selected;
    if (!selected) return this.tell("select-first");
    if (!this.around.behind) return this.tell("copy.last");
    flow.carry(selected);
    this.move(this.around.behind);
  }

  move(to: ImageRow | null): void {
    if (!to) return;
    this.reason = null;
    go("annotate", to.id);
  }

  tell(said: string): void {
    this.message = say(said);
  }

  private begin(session: ImageSession): void {
    const { editor, image } = session;
    this.session = session;
    editor.camera.screen = this.doors.screen();
    editor.camera.fit();
    const machine = session.document.annotations.find((each) => each.machine);
    editor.select(flow.takePointed() ?? editor.selected?.id ?? machine?.id ?? null);
    document.title = `${image.name} · ${this.project.session.project}`;
    void flow.lease(image.id);
    const arrived = flow.arrive(image);
    if (arrived === "other-size") return this.tell("copy.size");
    if (!arrived) return;
    const id = crypto.randomUUID();
    editor.apply("copy", [{ id, before: null, after: arrived.content }]);
    editor.select(id);
    this.tell("copied");
  }
}

/** Ask until the server is there and knows who asks; undefined if nobody waits any more. */
async function patiently<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      const isSignedOut = error instanceof Refused && error.status === 401;
      if (!isSignedOut && !(error instanceof Offline)) throw error;
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  return undefined;
}

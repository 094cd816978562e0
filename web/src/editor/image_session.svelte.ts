/**
 * One image open for annotating: loads it, joins the editor to outbox, events and decoder.
 */

import { get, Offline, Refused } from "../api/client";
import type { AnnotationEvent } from "../api/events";
import type { components } from "../api/types";
import type { Annotation } from "../document/annotation";
import type { Conflict, Decision } from "../document/conflicts";
import { changesFor, conflictOf } from "../document/conflicts";
import { Document } from "../document/document";
import { Effort } from "../document/effort";
import { NO_HISTORY } from "../document/history";
import { fromWire, replay } from "../document/replay";
import { t } from "../i18n/translate.svelte";
import type { Letter } from "../outbox/database";
import type { ImageRow, Project } from "../project/project.svelte";
import { preferences } from "../settings/preferences.svelte";
import { Drafts } from "./drafts";
import { Editor } from "./editor";
import { Offers } from "./offers";
import { findProminent } from "./prominence";
import { Prompting } from "./prompting";
import { Redrawing } from "./redrawing";

type Wire = components["schemas"];

/** Without a sign of the person for so long, the decoder is free for other questions. */
const REST_SECONDS = 0.5;

export interface Surroundings {
  readonly say: (message: string) => void;
  readonly redraw: () => void;
}

export class ImageSession {
  /** Grows when anything but the pointer changed: panels look again. */
  tick = $state(0);
  conflicts: Conflict[] = $state([]);
  /** Whether prompts can be decoded, or why not. */
  prepared: "waiting" | "ready" | string = $state("waiting");
  readonly editor: Editor;
  private readonly offers: Offers;
  private readonly drafts: Drafts;
  private readonly redrawing: Redrawing;
  private readonly endings: (() => void)[] = [];
  private signature = "";
  private isClosed = false;

  private constructor(
    readonly project: Project,
    readonly image: ImageRow,
    readonly document: Document,
    private readonly around: Surroundings,
  ) {
    const changed = () => this.changed();
    const size = { width: image.width, height: image.height };
    this.offers = new Offers(document);
    this.editor = new Editor({
      size,
      document,
      prompting: new Prompting(project.decoderOf(image), String(image.id), size, changed, this.offers),
      effort: new Effort(() => performance.now() / 1000),
      modelId: image.model_id,
      newId: () => crypto.randomUUID(),
      say: around.say,
      changed,
    });
    this.editor.effort.reset();
    this.redrawing = new Redrawing(document, this.offers, {
      isWaiting: async () => (await project.outbox.waiting()).some((letter) => letter.imageId === image.id),
      onMoved: (count) => around.say(t("redrawn", { count })),
    });
    this.drafts = new Drafts(project.database, image.id, this.editor);
    this.listen(changed);
  }

  static async open(project: Project, image: ImageRow, around: Surroundings): Promise<ImageSession> {
    const [there, waiting, history] = await Promise.all([
      annotationsOf(image.id),
      project.outbox.waiting(),
      project.database.get("histories", image.id),
    ]);
    const letters = waiting.filter((letter) => letter.imageId === image.id);
    // What was deleted can only be brought back by who knows its version.
    const canUndo = Boolean(history?.done.length || history?.undone.length);
    const gone = canUndo ? await annotationsOf(image.id, "?deleted=true") : [];
    const known = replay([...gone, ...there], letters, project.session.name);
    const doors = {
      send: (operation: Parameters<typeof project.outbox.put>[0]) => void project.outbox.put(operation),
      keep: (kept: typeof NO_HISTORY) => void project.database.put("histories", kept, image.id),
      author: project.session.name,
    };
    const document = new Document(image.id, doors, known, history ?? NO_HISTORY);
    const session = new ImageSession(project, image, document, around);
    letters.filter((letter) => letter.refused).forEach((letter) => void session.showConflict(letter));
    void session.prepare();
    return session;
  }

  /** Wait for masks that follow; false if some were drawn anew meanwhile, which nobody has seen. */
  rests(): Promise<boolean> {
    return this.redrawing.rests();
  }

  close(): void {
    this.isClosed = true;
    this.endings.forEach((end) => end());
  }

  /** What is shown as masks changed, or the object being asked for did. */
  private changed(): void {
    this.around.redraw();
    const { editor, document } = this;
    const { prompting } = editor;
    const signature = [
      document.revision,
      editor.selected?.id,
      editor.toolName,
      editor.categoryId,
      editor.brushRadius,
      editor.turbo,
      prompting.prompt.clicks.length,
      prompting.taken,
      prompting.candidates.length,
      prompting.candidate?.predictedIou,
      prompting.trouble,
    ].join("|");
    if (signature === this.signature) return;
    this.signature = signature;
    this.tick++;
  }

  private listen(changed: () => void): void {
    const { project } = this;
    // Lost with the server, it is asked for again when the server is back.
    const heard = (event: AnnotationEvent) => void this.hear(event).catch(unlessOffline);
    const done = (letter: Letter, answer: unknown) => this.confirmed(letter, answer);
    const refused = (letter: Letter) => void this.showConflict(letter);
    project.annotationListeners.add(heard);
    project.letterListeners.add(done);
    project.refusalListeners.add(refused);
    const back = () => void this.catchUp();
    project.returnListeners.add(back);
    const keeping = setInterval(() => this.drafts.keep(), 1000);
    this.endings.push(
      this.document.subscribe(changed),
      // A stroke that became a change is a draft no longer: it must not be painted twice.
      this.document.subscribe(() => this.drafts.keep()),
      () => project.annotationListeners.delete(heard),
      () => project.letterListeners.delete(done),
      () => project.refusalListeners.delete(refused),
      () => project.returnListeners.delete(back),
      () => clearInterval(keeping),
      () => this.drafts.keep(),
    );
  }

  private async prepare(): Promise<void> {
    try {
      await this.drafts.open();
      await this.project.prepare(this.image);
      this.prepared = "ready";
    } catch (error) {
      this.prepared = error instanceof Error ? error.message : String(error);
    }
    if (this.prepared === "ready") await this.ask(); // before a draft's clicks are: it may be what they brought up
    await this.drafts.restore();
    if (this.prepared === "ready" && this.project.decoding === "browser") await this.lead();
    else this.editor.leading.know(this.offers.spots());
  }

  /** Ask what the region head outlines; without an answer the decoder is there. */
  private async ask(): Promise<void> {
    try {
      const told = await get<Wire["RegionsOut"]>(`/api/images/${this.image.id}/regions`);
      this.offers.know(told.regions, told.low_res_side);
    } catch (error) {
      if (error instanceof Refused) this.around.say(error.message);
    }
  }

  /** Wait until the person rests, so that nothing they ask has to wait; false if the image is left. */
  private async quiet(): Promise<boolean> {
    while (!this.isClosed && this.editor.effort.idle < REST_SECONDS) {
      await new Promise((done) => setTimeout(done, 50));
    }
    return !this.isClosed;
  }

  /** Look for what stands out. */
  private async lead(): Promise<void> {
    const { project, image, editor } = this;
    const offered = this.offers.spots();
    if (offered.length) return editor.leading.know(offered);
    const found = findProminent(project.decoderOf(image), String(image.id), editor.size, () => this.quiet());
    editor.leading.know(await found.catch(() => []));
  }

  /** Somebody changed a mask; if it was this page, nothing is new. */
  private async hear(event: AnnotationEvent): Promise<void> {
    if (event.image_id !== this.image.id) return;
    await this.redrawing.settled(); // what it moves comes with its answer
    if (event.version <= this.document.version(event.id)) return;
    const found = await this.fetch(event.id);
    if (found && found.version > this.document.version(event.id)) this.document.receive(found);
  }

  /** The server was away, so others' changes may have passed unheard. */
  private async catchUp(): Promise<void> {
    const lists = ["", "?deleted=true"].map((query) => annotationsOf(this.image.id, query).catch(() => []));
    for (const each of (await Promise.all(lists)).flat()) {
      if (each.version > this.document.version(each.id)) this.document.receive(each);
    }
  }

  private confirmed(letter: Letter, answer: unknown): void {
    if (letter.imageId !== this.image.id) return;
    for (const each of (answer as Wire["AnnotationsOut"]).annotations.map(fromWire)) {
      if (each.version >= this.document.version(each.id)) this.document.receive(each);
    }
    if (preferences.follows && !this.isClosed) void this.redrawing.ask().catch((error) => this.say(error));
  }

  private say(error: unknown): void {
    if (error instanceof Refused) this.around.say(error.message);
    else unlessOffline(error);
  }

  private async showConflict(letter: Letter): Promise<void> {
    if (letter.imageId !== this.image.id) return;
    const current = letter.refused?.current as Wire["AnnotationOut"] | null;
    const theirs = current ? fromWire(current) : undefined;
    const conflict = conflictOf(letter, await this.project.outbox.waiting(), theirs);
    this.conflicts = [...this.conflicts.filter((each) => each.id !== conflict.id), conflict];
  }

  /** Do what a person decided about two versions. */
  async decide(conflict: Conflict, decision: Decision): Promise<void> {
    const { project, document } = this;
    const waiting = await project.outbox.waiting();
    const ids = new Set(conflict.letters.flatMap(({ steps }) => steps.map((step) => step.id)));
    const letters = waiting.filter(({ steps }) => steps.some((step) => ids.has(step.id)));
    await project.outbox.drop(letters);
    for (const id of ids) {
      const found = await this.fetch(id);
      if (found) document.receive(found);
      else document.forget(id);
    }
    const known = (id: string) => document.get(id)?.content ?? null;
    document.apply("conflict", changesFor({ ...conflict, letters }, decision, known, () => crypto.randomUUID()));
    this.conflicts = this.conflicts.filter((each) => each.id !== conflict.id);
  }

  private async fetch(id: string): Promise<Annotation | undefined> {
    try {
      return fromWire(await get<Wire["AnnotationOut"]>(`/api/annotations/${id}`));
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return undefined;
      throw error;
    }
  }
}

function unlessOffline(error: unknown): void {
  if (!(error instanceof Offline)) throw error;
}

async function annotationsOf(imageId: number, query = ""): Promise<Annotation[]> {
  const answer = await get<Wire["AnnotationsOut"]>(`/api/images/${imageId}/annotations${query}`);
  return answer.annotations.map(fromWire);
}

/**
 * One image on which somebody scribbles: its strokes, kept in this browser until the server has them,
 * and what the server found.
 */

import { get, Offline, post, put, Refused, request } from "../api/client";
import type { components } from "../api/types";
import { Picture } from "../canvas/picture";
import type { ImageRow, Project } from "../project/project.svelte";
import type { Palette } from "./found";
import { blobOf, changes, heat, inBlue, tinted } from "./found";
import type { RuleSet } from "./rules";
import type { Drawing, Stroke } from "./strokes";
import { begin, change, rebased, redo, undo } from "./strokes";

type Wire = components["schemas"];
/** What this browser has and the server has not; and what the server had when it was drawn. */
type Kept = { readonly strokes: readonly Stroke[]; readonly base: readonly Stroke[] };

/** Milliseconds after which it is tried again to reach the server. */
const PAUSE = 2000;

export class Board {
  drawing: Drawing = $state.raw(begin([]));
  picture: Picture | undefined = $state.raw();
  /** What was found: colours over the image, of the grid or of every pixel. */
  labels: ImageBitmap | undefined = $state.raw();
  doubt: ImageBitmap | undefined = $state.raw();
  /** What rules left, of whichever class: blue, beside what they took and gave. */
  kept: ImageBitmap | undefined = $state.raw();
  /** What the rules did, red and green. */
  changed: ImageBitmap | undefined = $state.raw();
  passed: boolean | null = $state(null);
  reasons: readonly string[] = $state.raw([]);
  warnings: readonly string[] = $state.raw([]);
  trouble = $state("");
  /** Whether what was found is that of every pixel. */
  isFull = $state(false);
  /** How often what was found has come. */
  looked = $state(0);
  /** Whether the server has everything. */
  isSaved = $state(true);
  private version = 0;
  /** What the server is known to have. */
  private base: readonly Stroke[] = [];
  private sending = false;
  private isClosed = false;
  private looks = 0;
  private shown = 0;
  private readonly place: string;

  private constructor(
    readonly image: ImageRow,
    private readonly project: Project,
    private readonly palette: () => Palette,
  ) {
    this.place = `maskmill-strokes-${project.session.project_uid}-${image.id}`;
  }

  static async open(imageId: number, project: Project, palette: () => Palette): Promise<Board> {
    const image = await get<ImageRow>(`/api/images/${imageId}`);
    const board = new Board(image, project, palette);
    const file = request("GET", image.file_url).then((answer) => answer.blob());
    const drawn = await get<Wire["StrokesOut"]>(`/api/images/${imageId}/strokes`);
    const waiting = board.waiting();
    board.drawing = begin(waiting ? waiting.strokes : drawn.strokes);
    board.base = waiting ? waiting.base : drawn.strokes;
    board.take(drawn);
    if (waiting) board.save();
    board.picture = await Picture.of(await file);
    return board;
  }

  add(stroke: Stroke): void {
    this.put(change(this.drawing, [...this.drawing.strokes, stroke]));
  }

  clear(): void {
    this.put(change(this.drawing, []));
  }

  undo(): void {
    this.put(undo(this.drawing));
  }

  redo(): void {
    this.put(redo(this.drawing));
  }

  /** Somebody has changed the strokes; if it was we, that is known. */
  async hear(version: number): Promise<void> {
    if (this.sending || version <= this.version) return; // what we send meets theirs by itself
    const drawn = await get<Wire["StrokesOut"]>(`/api/images/${this.image.id}/strokes`);
    if (!this.sending && drawn.version > this.version) this.take(drawn);
  }

  /** There is no classifier any more. */
  forget(): void {
    this.shown = ++this.looks;
    this.labels = this.kept = this.doubt = this.changed = undefined;
    this.isFull = false;
    [this.passed, this.reasons, this.warnings] = [null, [], []];
  }

  /** Fetch what was found on the grid. */
  async look(): Promise<void> {
    const look = ++this.looks;
    const [labels, doubt] = await Promise.all(["labels", "doubt"].map((what) => this.seen(what)));
    if (!labels || !doubt || !this.isNews(look)) return;
    this.labels = labels;
    this.doubt = doubt;
    this.isFull = false;
    this.looked++;
  }

  /**
   * Fetch what was found at the image's own size; with other rules, to try them.
   *
   * @param full - Of every pixel, which takes seconds.
   * @returns Whether the server had something else to do.
   */
  async close(rules: RuleSet | null = null, full = false): Promise<boolean> {
    const [look, { drawing }] = [++this.looks, this];
    const found = await this.asked({ rules, full });
    if (found === "busy" || !found) return found === "busy";
    const [labels, kept, changed, doubt] = await Promise.all([
      tinted(blobOf(found.labels), this.palette()),
      tinted(blobOf(found.labels), inBlue(this.palette())),
      tinted(blobOf(found.changed), changes),
      found.doubt ? tinted(blobOf(found.doubt), heat) : undefined,
    ]);
    const isOutdated = full && drawing !== this.drawing; // somebody has drawn meanwhile
    if (isOutdated || !this.isNews(look)) return false;
    [this.labels, this.kept, this.changed, this.isFull] = [labels, kept, changed, full];
    if (doubt) this.doubt = doubt;
    [this.passed, this.reasons, this.warnings] = [found.passed, found.reasons, found.warnings];
    return false;
  }

  leave(): void {
    this.isClosed = true;
    this.picture?.close();
  }

  /** Whether nothing that was asked for later is shown already: answers overtake each other. */
  private isNews(look: number): boolean {
    if (this.isClosed || look < this.shown) return false;
    this.shown = look;
    return true;
  }

  private async asked(body: object): Promise<Wire["CloseOut"] | "busy" | undefined> {
    try {
      const found = await post<Wire["CloseOut"]>(`/api/images/${this.image.id}/segmented`, body);
      this.trouble = "";
      return found;
    } catch (error) {
      if (error instanceof Refused && error.status === 503) return "busy";
      if (error instanceof Refused && error.status !== 404) [this.trouble, this.warnings] = [error.message, []];
      return undefined;
    }
  }

  private async seen(what: string): Promise<ImageBitmap | undefined> {
    try {
      const answer = await request("GET", `/api/images/${this.image.id}/segmented?what=${what}`);
      return await tinted(await answer.blob(), what === "doubt" ? heat : this.palette());
    } catch (error) {
      if (error instanceof Refused || error instanceof Offline) return undefined;
      throw error;
    }
  }

  private put(drawing: Drawing): void {
    if (drawing === this.drawing) return;
    this.drawing = drawing;
    this.keep();
    this.save();
  }

  private keep(): void {
    const kept: Kept = { strokes: this.drawing.strokes, base: this.base };
    localStorage.setItem(this.place, JSON.stringify(kept));
  }

  /** What the server has becomes the ground of what is drawn here. */
  private take(drawn: Wire["StrokesOut"]): void {
    this.drawing = rebased(this.drawing, this.base, drawn.strokes);
    [this.version, this.base] = [drawn.version, drawn.strokes];
  }

  private save(): void {
    if (this.isSaved) this.project.strokesWaiting++;
    this.isSaved = false;
    if (!this.sending) void this.send();
  }

  /** Send what is drawn until the server has the latest; one request at a time, in their order. */
  private async send(): Promise<void> {
    this.sending = true;
    let sent: readonly Stroke[] | undefined;
    let opId = crypto.randomUUID();
    while (sent !== this.drawing.strokes && !(this.isClosed && this.isSaved)) {
      const strokes = this.drawing.strokes;
      try {
        const body = { op_id: opId, base_version: this.version, strokes };
        const kept = await put<Wire["StrokesOut"]>(`/api/images/${this.image.id}/strokes`, body);
        [this.version, this.base, sent, this.trouble] = [kept.version, strokes, strokes, ""];
      } catch (error) {
        if (error instanceof Refused && error.status === 409) await this.merge();
        else if (error instanceof Refused && error.status < 500 && error.status !== 401 && error.status !== 429) {
          this.trouble = error.message;
          break;
        } else await new Promise((resolve) => setTimeout(resolve, PAUSE));
        // The same strokes under the same name are kept once; others need a name of their own.
        if (strokes === this.drawing.strokes) continue;
      }
      opId = crypto.randomUUID();
    }
    if (sent === this.drawing.strokes) {
      this.isSaved = true;
      this.project.strokesWaiting--;
      localStorage.removeItem(this.place);
    }
    this.sending = false;
  }

  /** Somebody drew here meanwhile: what we changed is done to theirs. */
  private async merge(): Promise<void> {
    this.take(await get<Wire["StrokesOut"]>(`/api/images/${this.image.id}/strokes`));
    this.keep();
  }

  private waiting(): Kept | null {
    try {
      const kept = JSON.parse(localStorage.getItem(this.place) ?? "null") as Partial<Kept> | null;
      return kept && { strokes: kept.strokes ?? [], base: kept.base ?? [] };
    } catch {
      return null;
    }
  }
}

/**
 * The masks of one image, every change of them, and what can be undone.
 *
 * The document knows neither server nor screen: changes leave through `send`, in order, and what
 * others did comes in through `receive`.
 */

import type { Annotation, Content } from "./annotation";
import { kept, sameContent } from "./annotation";
import type { Change, Entry, Step } from "./changes";
import { invert, toSteps } from "./changes";
import type { History } from "./history";
import { add, NO_HISTORY, stepBack, stepForward } from "./history";

/** What must reach the server: all of its steps, or none. */
export interface Operation {
  readonly imageId: number;
  readonly steps: readonly Step[];
  readonly changes: readonly Change[];
}

export interface DocumentDoors {
  /** Called with every operation, in the order in which they must arrive. */
  readonly send: (operation: Operation) => void;
  /** Called whenever what can be undone has changed. */
  readonly keep: (history: History) => void;
  readonly author: string;
}

export type Refusal = "nothing" | "changed-by-others";

export class Document {
  private readonly known = new Map<string, Annotation>();
  private readonly listeners = new Set<() => void>();
  history: History;
  /** Grows with every change; who draws need only look at this. */
  revision = 0;

  constructor(
    readonly imageId: number,
    private readonly doors: DocumentDoors,
    annotations: readonly Annotation[] = [],
    history: History = NO_HISTORY,
  ) {
    this.history = history;
    for (const each of annotations) this.known.set(each.id, each);
  }

  /** All masks that are there, oldest first. */
  get annotations(): Annotation[] {
    return [...this.known.values()].filter((each) => !each.deleted);
  }

  get(id: string | null): Annotation | undefined {
    const found = id === null ? undefined : this.known.get(id);
    return found?.deleted ? undefined : found;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Make some changes at once; they are undone at once too. */
  apply(label: string, changes: readonly Change[]): void {
    const real = changes.filter(({ before, after }) => !sameContent(before, after));
    if (!real.length) return;
    const entry = { label, changes: real };
    this.perform(entry);
    this.remember(add(this.history, entry));
  }

  undo(): Entry | Refusal {
    return this.step(this.history.done.at(-1), true);
  }

  redo(): Entry | Refusal {
    return this.step(this.history.undone.at(-1), false);
  }

  /** Let a mask that a model made stand; taken back by taking the mask away. */
  keep(id: string): void {
    const known = this.get(id);
    if (!known?.machine) return;
    this.known.set(id, kept(known, this.doors.author));
    const change = { kind: "keep" as const, base_version: known.version };
    this.doors.send({ imageId: this.imageId, steps: [{ id, change }], changes: [] });
    this.tell();
  }

  /** Take over what the server says of a mask. */
  receive(annotation: Annotation): void {
    this.known.set(annotation.id, annotation);
    this.tell();
  }

  /** Take a mask out that the server has never had. */
  forget(id: string): void {
    this.known.delete(id);
    this.tell();
  }

  /** What is known of a mask, deleted or not. */
  version(id: string): number {
    return this.known.get(id)?.version ?? 0;
  }

  private step(entry: Entry | undefined, back: boolean): Entry | Refusal {
    if (!entry) return "nothing";
    const wanted = back ? invert(entry) : entry;
    const untouched = wanted.changes.every(({ id, before }) => this.isStill(id, before));
    this.remember(back ? stepBack(this.history) : stepForward(this.history));
    if (!untouched) return "changed-by-others";
    this.perform(wanted);
    return entry;
  }

  private perform({ changes }: Entry): void {
    const rounds = changes.map((each) => toSteps(each, this.known.get(each.id), this.imageId));
    for (const change of changes) this.change(change);
    // Of each mask one step per operation: a restored mask is changed by a second operation.
    for (let i = 0; rounds.some((steps) => i < steps.length); i++) {
      const steps = rounds.flatMap((each) => each.slice(i, i + 1));
      this.doors.send({ imageId: this.imageId, steps, changes: i ? [] : changes });
    }
    this.tell();
  }

  private change({ id, after }: Change): void {
    const known = this.known.get(id);
    const taken = toSteps({ id, before: null, after }, known, this.imageId).length;
    if (!known && !after) return;
    this.known.set(id, {
      review: null,
      note: null,
      ...known,
      id,
      imageId: this.imageId,
      version: (known?.version ?? 0) + taken,
      deleted: !after,
      content: after ?? known!.content,
      changedBy: this.doors.author,
    });
  }

  /** Whether a mask is as it was; a model's that nobody has looked at may have followed what people drew. */
  private isStill(id: string, before: Content | null): boolean {
    const now = this.get(id);
    if (sameContent(now?.content ?? null, before)) return true;
    return Boolean(before && now?.machine && now.content.categoryId === before.categoryId);
  }

  private remember(history: History): void {
    this.history = history;
    this.doors.keep(history);
    this.tell();
  }

  private tell(): void {
    this.revision++;
    for (const listener of this.listeners) listener();
  }
}

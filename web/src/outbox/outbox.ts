/**
 * Brings operations to the server, in order, however often it or the network fails.
 *
 * What is put in is in IndexedDB before anything is sent, and leaves it when the server has said
 * yes. An operation that it refuses stays, with the reason, until a person decides; operations on
 * the same masks wait behind it, all others go on.
 */

import type { Operation } from "../document/document";
import type { Database, Letter } from "./database";

/** What came of sending a letter once. */
export type Outcome =
  | { readonly kind: "done"; readonly answer: unknown }
  | { readonly kind: "later"; readonly why: "offline" | "signed-out" }
  | { readonly kind: "refused"; readonly reason: string; readonly current: unknown };

export interface Post {
  readonly send: (letter: Letter) => Promise<Outcome>;
  readonly onDone: (letter: Letter, answer: unknown) => void;
  readonly onRefused: (letter: Letter) => void;
  readonly onState: (state: OutboxState) => void;
}

export interface OutboxState {
  readonly waiting: number;
  readonly refused: number;
  readonly trouble: "offline" | "signed-out" | null;
}

const [FIRST_PAUSE, LONGEST_PAUSE] = [250, 5_000];

export class Outbox {
  private run: Promise<void> | undefined;
  private again = false;
  private pause = FIRST_PAUSE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Letters are written one after the other, so that their places tell the order. */
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly post: Post,
    private readonly newId: () => string = () => crypto.randomUUID(),
  ) {}

  /** Keep an operation; resolves once it is in the browser's store. */
  put(operation: Operation): Promise<void> {
    const letter: Letter = { ...operation, opId: this.newId(), at: Date.now() };
    const written = this.writing.then(() => this.database.add("letters", letter));
    this.writing = written.catch(() => undefined);
    return written.then(() => void this.deliver());
  }

  /** All that is not on the server, oldest first. */
  async waiting(): Promise<Letter[]> {
    await this.writing;
    return this.database.getAll("letters");
  }

  /** Forget letters; only after a person said so. */
  async drop(letters: readonly Letter[]): Promise<void> {
    for (const { place } of letters) await this.database.delete("letters", place!);
    await this.report(null);
  }

  /**
   * Try now; called when there is something new, when the network is back, and by the clock.
   *
   * Resolves when everything that was put in before was sent, or must wait.
   */
  deliver(): Promise<void> {
    clearTimeout(this.timer);
    this.again = true;
    this.run ??= this.sendUntilDone().finally(() => (this.run = undefined));
    return this.run;
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private async sendUntilDone(): Promise<void> {
    while (this.again) {
      this.again = false;
      await oneTabAtATime(() => this.sendAll());
    }
  }

  private async sendAll(): Promise<void> {
    const held = new Set<string>();
    for (const letter of await this.waiting()) {
      const ids = letter.steps.map((step) => step.id);
      if (letter.refused || ids.some((id) => held.has(id))) {
        ids.forEach((id) => held.add(id));
        continue;
      }
      const outcome = await this.post.send(letter);
      if (outcome.kind === "later") {
        this.timer = setTimeout(() => void this.deliver(), this.pause);
        this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
        return this.report(outcome.why);
      }
      this.pause = FIRST_PAUSE;
      if (outcome.kind === "done") await this.confirmed(letter, outcome.answer);
      else await this.refused(letter, outcome).then(() => ids.forEach((id) => held.add(id)));
    }
    await this.report(null);
  }

  private async confirmed(letter: Letter, answer: unknown): Promise<void> {
    await this.database.delete("letters", letter.place!);
    this.post.onDone(letter, answer);
  }

  private async refused(letter: Letter, outcome: { reason: string; current: unknown }): Promise<void> {
    const { reason, current } = outcome;
    const marked = { ...letter, refused: { reason, current } };
    await this.database.put("letters", marked);
    this.post.onRefused(marked);
  }

  private async report(trouble: OutboxState["trouble"]): Promise<void> {
    const letters = await this.waiting();
    const refused = letters.filter((letter) => letter.refused).length;
    this.post.onState({ waiting: letters.length - refused, refused, trouble });
  }
}

/** Two tabs of one project share one outbox; only one of them sends. */
async function oneTabAtATime(work: () => Promise<void>): Promise<void> {
  if (typeof navigator === "undefined" || !navigator.locks) return work();
  await navigator.locks.request("maskmill-outbox", work);
}

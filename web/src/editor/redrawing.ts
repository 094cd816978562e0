/**
 * Pre-filled masks that nobody has looked at follow what people draw on their image, and so do the
 * regions that a click brings up.
 *
 * The server draws them, from what has reached it: so it is asked once nothing is on its way there.
 */

import { post } from "../api/client";
import type { components } from "../api/types";
import type { Document } from "../document/document";
import { fromWire } from "../document/replay";
import type { Offers } from "./offers";

export interface Around {
  /** Whether changes of this image are still on their way to the server. */
  readonly isWaiting: () => Promise<boolean>;
  /** Called with how many masks were drawn anew. */
  readonly onMoved: (count: number) => void;
}

export class Redrawing {
  private running: Promise<void> | undefined;
  private again = false;
  /** How often masks were drawn anew. */
  private moves = 0;

  constructor(
    private readonly document: Document,
    private readonly offers: Offers,
    private readonly around: Around,
  ) {}

  /** Ask, or once more after the answer that is awaited. Rejects as the server's last answer did. */
  ask(): Promise<void> {
    this.again = true;
    this.running ??= this.run().finally(() => (this.running = undefined));
    return this.running;
  }

  /** Resolves once no answer is awaited, whatever came of it. */
  settled(): Promise<void> {
    return (this.running ?? Promise.resolve()).catch(() => undefined);
  }

  /** Wait until no answer is awaited; tells whether none of them drew a mask anew. */
  async rests(): Promise<boolean> {
    const before = this.moves;
    while (this.running) await this.settled();
    return this.moves === before;
  }

  private async run(): Promise<void> {
    while (this.again) {
      this.again = false;
      if (this.offers.isEmpty && !this.document.annotations.some((each) => each.machine)) return;
      if (await this.around.isWaiting()) return; // who is told of the last arrival asks again
      const path = `/api/images/${this.document.imageId}/redraw`;
      const told = await post<components["schemas"]["RedrawnOut"]>(path);
      this.offers.redraw(told.regions);
      const moved = told.annotations.map(fromWire).filter((each) => each.version > this.document.version(each.id));
      for (const each of moved) this.document.receive(each);
      if (!moved.length) continue;
      this.moves++;
      this.around.onMoved(moved.length);
    }
  }
}

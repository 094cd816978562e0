/** Leads from one prominent object to the next: marks it, and asks for it at a key. */

import { maskOf } from "../document/annotation";
import type { Document } from "../document/document";
import { contains } from "../geometry/mask";
import type { Spot } from "./prominence";
import type { Prompting } from "./prompting";
import type { Shape } from "./shapes";

export class Leading {
  /** Undefined while they are being looked for. */
  private spots: readonly Spot[] | undefined;
  private isWanted = false;
  private readonly passed = new Set<Spot>();

  constructor(
    private readonly document: Document,
    private readonly prompting: Prompting,
    private readonly changed: () => void,
  ) {}

  /** Take over what was found. */
  know(spots: readonly Spot[]): void {
    this.spots = spots;
    this.passed.clear();
    if (this.isWanted && this.prompting.isEmpty) this.ask();
    this.isWanted = false;
    this.changed();
  }

  /** The object to go on with: prominent, without a mask, and not passed over. */
  get next(): Spot | undefined {
    const there = this.document.annotations.filter((each) => each.review !== "rejected");
    const masks = there.map((each) => maskOf(each.content.rle));
    return this.spots?.find((spot) => !this.passed.has(spot) && !masks.some((mask) => contains(mask, spot.point)));
  }

  /**
   * Ask for the marked object; asked again without keeping it, for the one behind it.
   *
   * @returns What to tell the person, if there is no such object or it is not known yet.
   */
  ask(): string | null {
    const { next } = this;
    this.isWanted = !this.spots;
    if (!next) return this.spots ? "lead.nothing" : "lead.looking";
    this.passed.add(next);
    this.prompting.clear();
    void this.prompting.click(next.point, 1);
    return null;
  }

  shapes(): Shape[] {
    const { next } = this;
    return next && this.prompting.isEmpty ? [{ kind: "mark", at: next.point, role: "hint" }] : [];
  }
}

/** How much work a mask took: active time, clicks, edits. Idle time does not count. */

/** Seconds without any sign of a person after which time stands still. */
const IDLE_SECONDS = 5;

export class Effort {
  private active = 0;
  private last: number | undefined;
  clicks = 0;
  edits = 0;

  /** @param now - Seconds on a clock that never goes back. */
  constructor(private readonly now: () => number) {}

  /** A person moved, clicked or typed. */
  sign(): void {
    const at = this.now();
    if (this.last !== undefined) this.active += Math.min(at - this.last, IDLE_SECONDS);
    this.last = at;
  }

  /** Active seconds so far. */
  get seconds(): number {
    const since = this.last === undefined ? 0 : this.now() - this.last;
    return this.active + Math.min(since, IDLE_SECONDS);
  }

  /** Seconds without a sign of the person. */
  get idle(): number {
    return this.last === undefined ? Infinity : this.now() - this.last;
  }

  /** A new object begins. */
  reset(): void {
    this.active = 0;
    this.clicks = 0;
    this.edits = 0;
    this.last = this.now();
  }
}

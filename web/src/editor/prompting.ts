/**
 * One object being asked for: clicks and a box, the decoder's candidates, the one that is taken.
 *
 * Every click is a step that can be taken back; the logits of the candidate taken at one step go
 * with the next. A hover's preview is shown only while nothing was clicked.
 */

import type { Decoder } from "../decoder/client";
import type { Candidate, Question } from "../decoder/messages";
import { firstShown } from "../decoder/messages";
import type { Prompt } from "../decoder/prompt";
import { NO_PROMPT } from "../decoder/prompt";
import type { Box, ImagePoint, Size } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { contains, intersect, union } from "../geometry/mask";
import type { Offers } from "./offers";

interface Answered {
  readonly prompt: Prompt;
  readonly candidates: readonly Candidate[];
  readonly taken: number;
}

/** Longer side of a hover's preview: what a screen shows. */
const PREVIEW_SIDE = 768;

export class Prompting {
  private steps: Answered[] = [];
  private undone: Answered[] = [];
  private asking: Promise<unknown> = Promise.resolve();
  private started = 0;
  /** Questions that wait for their turn or their answer. */
  private waiting = 0;
  hovered: Candidate | undefined;
  /** Why there is no answer, in words; null while all is well. */
  trouble: string | null = null;

  constructor(
    private readonly decoder: Decoder,
    private readonly imageKey: string,
    private readonly size: Size,
    private readonly changed: () => void,
    private readonly offers?: Offers,
  ) {}

  get isEmpty(): boolean {
    return this.steps.length === 0;
  }

  get prompt(): Prompt {
    return this.steps.at(-1)?.prompt ?? NO_PROMPT;
  }

  /** The candidates: what is offered, then the decoder's, largest first: whole, part, sub-part. */
  get candidates(): readonly Candidate[] {
    return this.steps.at(-1)?.candidates ?? [];
  }

  get taken(): number {
    return this.steps.at(-1)?.taken ?? 0;
  }

  get candidate(): Candidate | undefined {
    return this.candidates[this.taken];
  }

  /** Resolves when every question so far has been answered. */
  settled(): Promise<unknown> {
    return this.asking;
  }

  /** Preview what a click here would give. */
  async hover(point: ImagePoint): Promise<void> {
    if (!this.isEmpty) return;
    const prompt: Prompt = { clicks: [{ point, label: 1 }], box: null };
    const offered = this.offeredFor(prompt);
    if (offered) {
      if (offered !== this.hovered) this.show(offered);
      return;
    }
    const started = this.started;
    const answer = await this.decoder.hover(this.question(prompt, PREVIEW_SIDE, undefined)).catch(() => undefined);
    if (!answer || started !== this.started || !this.isEmpty) return;
    this.show(answer[firstShown(prompt, answer)]);
  }

  leave(): void {
    this.show(undefined);
  }

  click(point: ImagePoint, label: 0 | 1): Promise<void> {
    return this.ask(({ clicks, box }) => ({ clicks: [...clicks, { point, label }], box }));
  }

  drawBox(box: Box): Promise<void> {
    return this.ask(({ clicks }) => ({ clicks, box }));
  }

  /** Take another of the candidates. */
  cycle(by: 1 | -1): void {
    const last = this.steps.at(-1);
    if (!last?.candidates.length) return;
    const count = last.candidates.length;
    this.take((last.taken + by + count) % count);
  }

  take(taken: number): void {
    const last = this.steps.at(-1);
    if (!last || !last.candidates[taken]) return;
    this.steps[this.steps.length - 1] = { ...last, taken };
    this.changed();
  }

  /** Take the last click back; tells whether there was one. */
  undo(): boolean {
    const last = this.steps.pop();
    if (last) this.undone.push(last);
    this.changed();
    return last !== undefined;
  }

  redo(): boolean {
    const next = this.undone.pop();
    if (next) this.steps.push(next);
    this.changed();
    return next !== undefined;
  }

  clear(): void {
    this.started++;
    this.waiting = 0;
    this.steps = [];
    this.undone = [];
    this.hovered = undefined;
    this.trouble = null;
    this.changed();
  }

  /** The mask that was asked for, and what the engine is told of it; undefined if there is none. */
  result(): { mask: Mask; predictedIou: number; prompts: unknown; candidates: unknown } | undefined {
    const { candidate, prompt } = this;
    // Somebody else may have kept the same region since it was brought up.
    const mask = candidate?.isOffered ? this.offers?.left(candidate.mask) : candidate?.mask;
    if (!candidate || !mask?.pixels.length) return undefined;
    const { clicks, box } = prompt;
    return {
      mask,
      predictedIou: candidate.predictedIou,
      prompts: {
        points: clicks.map(({ point, label }) => [point.x, point.y, label]),
        box: box && [box.x0, box.y0, box.x1, box.y1],
      },
      candidates: {
        predicted_iou: this.candidates.map((each) => each.predictedIou),
        taken: this.taken,
        offered: this.candidates.some((each) => each.isOffered),
      },
    };
  }

  /** One after the other: each question carries the answer before it. */
  private ask(next: (prompt: Prompt) => Prompt): Promise<void> {
    const started = this.started;
    // What is offered is there at once, and can be kept before the decoder has drawn the others.
    const early = this.waiting++ ? undefined : this.bringUp(next(this.prompt));
    const asked = this.asking.then(async () => {
      if (started !== this.started) return;
      this.waiting--;
      if (early && !this.steps.some((step) => step.prompt === early.prompt)) return; // taken back
      const prompt = early?.prompt ?? next(this.prompt);
      try {
        // The decoder's masks for a first click are its own: it is told of no region.
        const before = early ? undefined : this.candidate;
        const answer = await this.decoder.click(this.question(prompt, Infinity, before));
        if (started !== this.started) return;
        if (early) this.join(early, answer);
        else this.steps.push(this.answered(prompt, answer, before));
        this.undone = [];
        this.trouble = null;
      } catch (error) {
        this.trouble = error instanceof Error ? error.message : String(error);
      }
      this.hovered = undefined;
      this.changed();
    });
    this.asking = asked;
    return asked;
  }

  /** Show the region under a single click, if there is one. */
  private bringUp(prompt: Prompt): Answered | undefined {
    const offered = this.offeredFor(prompt);
    if (!offered) return undefined;
    const step = { prompt, candidates: [offered], taken: 0 };
    this.steps.push(step);
    this.hovered = undefined;
    this.changed();
    return step;
  }

  /** Put the decoder's masks behind the region that is shown already. */
  private join(early: Answered, answer: readonly Candidate[]): void {
    const drawn = [...answer].sort((a, b) => b.cells - a.cells);
    this.steps = this.steps.map((step) => (step.prompt === early.prompt ? { ...step, candidates: [...step.candidates, ...drawn] } : step));
  }

  private answered(prompt: Prompt, answer: readonly Candidate[], before: Candidate | undefined): Answered {
    const first = answer[firstShown(prompt, answer)]!;
    if (before?.isOffered && !prompt.box) {
      return { prompt, candidates: [mendedBy(before, prompt, first)], taken: 0 };
    }
    const drawn = [...answer].sort((a, b) => b.cells - a.cells);
    const offered = this.offeredFor(prompt);
    const candidates = offered ? [offered, ...drawn] : drawn;
    return { prompt, candidates, taken: offered ? 0 : drawn.indexOf(first) };
  }

  /** A region answers a single click; who says more wants something else. */
  private offeredFor({ clicks, box }: Prompt): Candidate | undefined {
    const [only] = clicks;
    return only?.label === 1 && clicks.length === 1 && !box ? this.offers?.at(only.point) : undefined;
  }

  private show(hovered: Candidate | undefined): void {
    this.hovered = hovered;
    this.changed();
  }

  private question(prompt: Prompt, longestSide: number, before: Candidate | undefined): Question {
    const { imageKey, size } = this;
    return { imageKey, size, prompt, maskInput: before?.logits ?? null, longestSide };
  }
}

/**
 * What a further click makes of a region: it only grows where something is added, and only shrinks
 * where something is taken away. A click on what is in it changes nothing.
 */
function mendedBy(region: Candidate, { clicks }: Prompt, answer: Candidate): Candidate {
  const { point, label } = clicks.at(-1)!;
  if (Boolean(label) === contains(region.mask, point)) return region;
  const mask = label ? union(region.mask, answer.mask) : cutAt(region.mask, answer.mask, point);
  return { ...region, logits: answer.logits, cells: answer.cells, mask };
}

/** What the decoder leaves of a region without a point; all of it, where the decoder does not see what is meant. */
function cutAt(region: Mask, answer: Mask, point: ImagePoint): Mask {
  return contains(answer, point) ? region : intersect(region, answer);
}

/**
 * A pretend editor: the real editor, document and tools, spoken to in sentences.
 *
 * Only the decoder is pretended: it answers a click with three squares round it, which are larger the
 * less specific they are, so that a test can see which candidate was taken.
 */

import type { Annotation } from "../src/document/annotation";
import { BY_HAND, maskOf } from "../src/document/annotation";
import type { Operation } from "../src/document/document";
import { Document } from "../src/document/document";
import { Effort } from "../src/document/effort";
import type { History } from "../src/document/history";
import type { Decoder } from "../src/decoder/client";
import type { Candidate, Question } from "../src/decoder/messages";
import { Editor } from "../src/editor/editor";
import { Offers } from "../src/editor/offers";
import { Prompting } from "../src/editor/prompting";
import { imagePoint, screenPoint } from "../src/geometry/frames";
import { area, emptyMask, subtract, union } from "../src/geometry/mask";
import { fillPolygon } from "../src/geometry/polygon";
import { encode } from "../src/geometry/rle";
import type { ToolName } from "../src/tools";
import { drawn, shown } from "./scenes";

const SIDES = [3, 5, 9];

export class PretendDecoder implements Decoder {
  questions: Question[] = [];

  click(question: Question): Promise<readonly Candidate[]> {
    this.questions.push(question);
    const { clicks, box } = question.prompt;
    const answer = SIDES.map((side, i) => {
      let mask = box ? square(question, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, box.x1 - box.x0) : emptyMask(question.size);
      for (const { point, label } of clicks) {
        const part = square(question, point.x, point.y, side);
        mask = label ? union(mask, part) : subtract(mask, part);
      }
      return { predictedIou: [0.9, 0.8, 0.7][i]!, logits: Float32Array.of(i), cells: area(mask), mask };
    });
    return Promise.resolve(answer);
  }

  hover(question: Question): Promise<readonly Candidate[]> {
    return this.click(question);
  }
}

function square({ size }: Question, x: number, y: number, side: number) {
  const corner = (dx: number, dy: number) => imagePoint(Math.floor(x) + 0.5 + (dx * side) / 2, Math.floor(y) + 0.5 + (dy * side) / 2);
  return fillPolygon([corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)], size);
}

type Modifier = "alt" | "shift";

export class Pretend {
  readonly decoder = new PretendDecoder();
  readonly said: string[] = [];
  readonly sent: Operation[] = [];
  kept: History | undefined;
  seconds = 0;
  readonly editor: Editor;
  readonly document: Document;
  readonly offers: Offers;

  constructor(width = 24, height = 16, annotations: readonly Annotation[] = [], history?: History) {
    const doors = {
      send: (operation: Operation) => void this.sent.push(operation),
      keep: (kept: History) => void (this.kept = kept),
      author: "me",
    };
    const size = { width, height };
    this.document = new Document(1, doors, annotations, history);
    this.offers = new Offers(this.document);
    let ids = 0;
    this.editor = new Editor({
      size,
      document: this.document,
      prompting: new Prompting(this.decoder, "1", size, () => undefined, this.offers),
      effort: new Effort(() => this.seconds),
      modelId: "pretend",
      newId: () => `id-${++ids}`,
      say: (message) => void this.said.push(message),
      changed: () => undefined,
    });
    this.editor.brushRadius = 1;
  }

  use(tool: ToolName): this {
    this.editor.use(tool);
    return this;
  }

  move(x: number, y: number, ...modifiers: Modifier[]): this {
    this.editor.pointerMove(pointer(x, y, modifiers));
    return this;
  }

  press(x: number, y: number, ...modifiers: Modifier[]): this {
    this.editor.pointerDown(pointer(x, y, modifiers));
    return this;
  }

  release(x: number, y: number, ...modifiers: Modifier[]): this {
    this.editor.pointerUp(pointer(x, y, modifiers));
    return this;
  }

  async click(x: number, y: number, ...modifiers: Modifier[]): Promise<this> {
    this.press(x, y, ...modifiers).release(x, y, ...modifiers);
    await this.answered();
    return this;
  }

  async drag(from: [number, number], to: [number, number], ...modifiers: Modifier[]): Promise<this> {
    this.press(...from, ...modifiers);
    this.move((from[0] + to[0]) / 2, (from[1] + to[1]) / 2, ...modifiers);
    this.move(...to, ...modifiers).release(...to, ...modifiers);
    await this.answered();
    return this;
  }

  wait(seconds: number): this {
    this.seconds += seconds;
    return this;
  }

  /** The decoder has answered everything. */
  async answered(): Promise<void> {
    await this.editor.prompting.settled();
    await Promise.resolve();
    await Promise.resolve();
  }

  get areas(): number[] {
    return this.document.annotations.map((each) => area(maskOf(each.content.rle)));
  }

  get last(): Annotation {
    return this.document.annotations.at(-1)!;
  }

  get picture(): string[] {
    const masks = this.document.annotations.map((each) => maskOf(each.content.rle));
    return shown(masks.reduce(union, emptyMask(this.editor.size)));
  }
}

function pointer(x: number, y: number, modifiers: readonly Modifier[]) {
  const [opposite, shift] = [modifiers.includes("alt"), modifiers.includes("shift")];
  return { at: imagePoint(x, y), screen: screenPoint(x * 10, y * 10), opposite, shift };
}

/** An annotation that is there already, drawn as text. */
export function annotation(id: string, ...rows: string[]): Annotation {
  const content = { rle: encode(drawn(...rows)), categoryId: null, made: BY_HAND };
  const nobody = { review: null, note: null, changedBy: "me" };
  return { id, imageId: 1, version: 1, deleted: false, content, ...nobody };
}

/**
 * The workbench of one image: its document, the object being asked for, the tool in hand, the view.
 *
 * Plain TypeScript without a page: tests drive it in sentences, the annotate page draws it.
 */

import type { Annotation, Content, Made } from "../document/annotation";
import { BY_HAND, maskOf, remember } from "../document/annotation";
import type { Change } from "../document/changes";
import type { Document } from "../document/document";
import type { Effort } from "../document/effort";
import type { ImagePoint, Size } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { area, contains } from "../geometry/mask";
import { encode } from "../geometry/rle";
import type { ToolName } from "../tools";
import { makeTools } from "../tools";
import type { Pointer, Tool, Workbench } from "../tools/tool";
import { Camera } from "./camera";
import { Leading } from "./leading";
import type { Prompting } from "./prompting";
import type { Shape } from "./shapes";

export interface EditorParts {
  readonly size: Size;
  readonly document: Document;
  readonly prompting: Prompting;
  readonly effort: Effort;
  readonly modelId: string | null;
  readonly newId: () => string;
  readonly say: (message: string) => void;
  readonly changed: () => void;
}

/** The tools that ask the model. */
const ASKING: ReadonlySet<ToolName> = new Set(["point", "box"]);

export class Editor implements Workbench {
  readonly camera: Camera;
  toolName: ToolName = "point";
  brushRadius = 12;
  turbo = false;
  categoryId: number | null = null;
  readonly leading: Leading;
  private selectedId: string | null = null;
  /** Active seconds on the selected mask before its last change. */
  private spent = 0;
  private readonly tools: Record<ToolName, Tool>;

  constructor(private readonly parts: EditorParts) {
    this.camera = new Camera(parts.size, () => this.changed());
    this.tools = makeTools(this);
    this.leading = new Leading(parts.document, parts.prompting, () => this.changed());
  }

  get size(): Size {
    return this.parts.size;
  }

  get document(): Document {
    return this.parts.document;
  }

  get prompting(): Prompting {
    return this.parts.prompting;
  }

  get effort(): Effort {
    return this.parts.effort;
  }

  get tool(): Tool {
    return this.tools[this.toolName];
  }

  get selected(): Annotation | undefined {
    return this.document.get(this.selectedId);
  }

  /** Active seconds on the object in hand; 0 while there is none. */
  get secondsOnObject(): number {
    if (!this.prompting.isEmpty) return this.effort.seconds;
    return this.spent ? this.spent + this.effort.seconds : 0;
  }

  get pixelsPerScreenPixel(): number {
    return 1 / this.camera.view.scale;
  }

  readonly pan = (dx: number, dy: number): void => this.camera.pan(dx, dy);
  readonly newId = (): string => this.parts.newId();
  readonly say = (message: string): void => this.parts.say(message);
  readonly changed = (): void => this.parts.changed();

  pointerDown(pointer: Pointer): void {
    this.effort.sign();
    this.tool.pointerDown(pointer);
    this.changed();
  }

  pointerMove(pointer: Pointer): void {
    this.effort.sign();
    this.tool.pointerMove(pointer);
  }

  pointerUp(pointer: Pointer): void {
    this.effort.sign();
    if (ASKING.has(this.toolName)) this.effort.clicks++;
    this.tool.pointerUp(pointer);
    this.changed();
  }

  use(name: ToolName): void {
    this.tool.leave?.();
    // A box can be mended with clicks: both ask for the same object.
    if (!(ASKING.has(name) && ASKING.has(this.toolName))) this.tool.finish?.();
    this.toolName = name;
    this.changed();
  }

  /** Above the masks: the object being asked for, and what the tool shows. */
  shapes(): Shape[] {
    const { prompting } = this;
    const shapes: Shape[] = [];
    const candidate = prompting.candidate ?? prompting.hovered;
    if (candidate) shapes.push({ kind: "mask", mask: candidate.mask, role: prompting.isEmpty ? "hint" : "add" });
    const { box, clicks } = prompting.prompt;
    if (box) shapes.push({ kind: "box", box, role: "add" });
    for (const { point, label } of clicks) {
      shapes.push({ kind: "dot", at: point, role: label ? "add" : "subtract" });
    }
    if (this.toolName === "point") shapes.push(...this.leading.shapes());
    return [...shapes, ...this.tool.shapes()];
  }

  readonly select = (id: string | null): void => {
    if (id !== this.selectedId) {
      this.effort.reset();
      this.spent = 0;
    }
    this.selectedId = id;
    this.changed();
  };

  /** The smallest mask under a point: what lies upon something else can be reached. */
  readonly annotationAt = (point: ImagePoint): Annotation | undefined => {
    const under = this.document.annotations.filter((each) => contains(maskOf(each.content.rle), point));
    const sizes = new Map(under.map((each) => [each.id, area(maskOf(each.content.rle))]));
    return under.sort((a, b) => sizes.get(a.id)! - sizes.get(b.id)!)[0];
  };

  readonly add = (label: string, mask: Mask, made: Made = BY_HAND): void => {
    const edits = made === BY_HAND ? 1 : 0;
    const id = this.newId();
    const content: Content = {
      rle: remember(encode(mask), mask),
      categoryId: this.categoryId,
      made: this.withEffort(made, edits),
    };
    this.document.apply(label, [{ id, before: null, after: content }]);
    this.select(id);
  };

  readonly redraw = (label: string, annotation: Annotation, mask: Mask): void => {
    const { content, id } = annotation;
    const rle = remember(encode(mask), mask);
    const after = mask.pixels.length
      ? { ...content, rle, made: this.withEffort(content.made, 1) }
      : null;
    this.document.apply(label, [{ id, before: content, after }]);
    this.select(after ? id : null);
  };

  readonly apply = (label: string, changes: readonly Change[]): void => {
    this.document.apply(label, changes);
    this.effort.reset();
    this.changed();
  };

  readonly confirm = (): boolean => {
    const result = this.prompting.result();
    if (!result) return false;
    const { mask, predictedIou, prompts, candidates } = result;
    const { modelId } = this.parts;
    this.add("mask", mask, { ...BY_HAND, modelId, predictedIou, prompts, candidates });
    this.prompting.clear();
    // The next click is another object; brush and eraser go on with this one.
    return true;
  };

  /** Be done with the object in hand. */
  keep(): void {
    this.confirm();
    this.select(null);
  }

  remove(): void {
    const { selected } = this;
    if (!selected) return this.say("select-first");
    this.apply("delete", [{ id: selected.id, before: selected.content, after: null }]);
    this.select(null);
  }

  /** Choose a category for what comes, and for the selected mask. */
  categorise(categoryId: number | null): void {
    this.categoryId = categoryId;
    const { selected } = this;
    if (selected && this.prompting.isEmpty) {
      const { content, id } = selected;
      this.apply("category", [{ id, before: content, after: { ...content, categoryId } }]);
    }
    this.changed();
  }

  /** Clicks first, then masks: what was done last goes first. */
  undo(): void {
    this.effort.sign();
    if (this.tool.cancel && this.tool.stroke?.() && this.tool.cancel()) return;
    if (this.prompting.undo()) return;
    this.tell(this.document.undo(), "undone");
  }

  redo(): void {
    this.effort.sign();
    if (this.prompting.redo()) return;
    this.tell(this.document.redo(), "redone");
  }

  escape(): void {
    if (!this.tool.cancel()) this.select(null);
    this.prompting.clear();
    this.changed();
  }

  /** Ask for the object that stands out most among those without a mask. */
  lead(): void {
    this.effort.sign();
    if (!this.prompting.isEmpty) this.effort.reset();
    this.use("point");
    const trouble = this.leading.ask();
    if (trouble) this.say(trouble);
    else this.effort.clicks++;
    this.changed();
  }

  finish(): void {
    if (!this.tool.finish?.()) this.confirm();
    this.changed();
  }

  private withEffort(made: Made, edits: number): Made {
    const { effort } = this;
    const sum = {
      ...made,
      seconds: made.seconds + effort.seconds,
      clicks: made.clicks + effort.clicks,
      edits: made.edits + edits,
    };
    this.spent += edits ? effort.seconds : 0;
    effort.reset();
    return sum;
  }

  private tell(outcome: ReturnType<Document["undo"]>, done: string): void {
    if (typeof outcome === "string") this.say(`${done}.${outcome}`);
    else {
      const last = outcome.changes[0]!.id;
      this.selectedId = this.document.get(last) ? last : null;
    }
    this.changed();
  }
}

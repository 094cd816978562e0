/**
 * The layers of the canvas: photograph, masks, and what the tool shows; drawn once per frame at most.
 */

import type { Editor } from "../editor/editor";
import type { Size } from "../geometry/frames";
import { drawShapes } from "./draw_shapes";
import type { Look } from "./paint";
import type { Picture } from "./picture";
import { Tiles } from "./tiles";
import type { TileMask } from "./tile_worker";

export interface Scene {
  readonly editor: Editor;
  readonly picture: Picture | undefined;
  readonly masks: readonly TileMask[];
  readonly look: Look;
}

/** Pixels of the text on a small screen. */
const SMALL_TEXT = 13;

export class Stage {
  private readonly context: CanvasRenderingContext2D;
  private readonly tiles: Tiles;
  private readonly worker: Worker;
  private scheduled = 0;
  private unit = 1;
  private isClosed = false;
  private scene: (() => Scene | undefined) | undefined;
  /** Milliseconds of the page's thread that the last frames took, the newest last. */
  readonly frames: number[] = [];
  /** When the last frame was drawn, on the page's clock. */
  drawnAt = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: false })!;
    this.worker = new Worker(new URL("./tile_worker.ts", import.meta.url), { type: "module" });
    this.tiles = new Tiles(this.worker, () => this.request());
  }

  /** Where each frame finds what to draw. */
  show(scene: () => Scene | undefined): void {
    this.scene = scene;
    this.request();
  }

  resize(screen: Size): void {
    this.unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / SMALL_TEXT;
    this.canvas.width = Math.round(screen.width * devicePixelRatio);
    this.canvas.height = Math.round(screen.height * devicePixelRatio);
    this.request();
  }

  readonly request = (): void => {
    // Whoever is told to close a page may still be asked for one more frame: of pictures that are gone.
    if (this.isClosed) return;
    this.scheduled ||= requestAnimationFrame(() => {
      this.scheduled = 0;
      const started = performance.now();
      this.draw();
      this.drawnAt = performance.now();
      this.frames.push(this.drawnAt - started);
      if (this.frames.length > 600) this.frames.shift();
    });
  };

  close(): void {
    this.isClosed = true;
    cancelAnimationFrame(this.scheduled);
    this.worker.terminate();
  }

  private draw(): void {
    const { context, canvas } = this;
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--stage") || "#101114";
    context.fillRect(0, 0, canvas.width, canvas.height);
    const scene = this.scene?.();
    if (!scene) return;
    const { editor, picture, masks, look } = scene;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    picture?.draw(context, editor.camera.view, ratio);
    this.tiles.set(masks, look);
    this.tiles.draw(context, editor.camera.view, editor.camera.screen, editor.size, ratio);
    drawShapes(context, editor.shapes(), editor.camera.view, editor.size.width, this.unit);
  }
}

/** The photograph at halved sizes, so that a frame never scales twelve million pixels. */

import type { Size } from "../geometry/frames";
import type { View } from "../geometry/view";

export class Picture {
  private constructor(
    readonly size: Size,
    private readonly levels: readonly ImageBitmap[],
  ) {}

  static async of(file: Blob): Promise<Picture> {
    const full = await createImageBitmap(file);
    const levels = [full];
    for (let last = full; Math.max(last.width, last.height) > 1024; last = levels.at(-1)!) {
      const [resizeWidth, resizeHeight] = [Math.ceil(last.width / 2), Math.ceil(last.height / 2)];
      const options = { resizeWidth, resizeHeight, resizeQuality: "medium" } as const;
      levels.push(await createImageBitmap(last, options));
    }
    return new Picture({ width: full.width, height: full.height }, levels);
  }

  draw(context: CanvasRenderingContext2D, view: View, ratio: number): void {
    const level = Math.max(0, Math.floor(Math.log2(1 / (view.scale * ratio)) + 0.01));
    const bitmap = this.levels[Math.min(level, this.levels.length - 1)]!;
    const { width, height } = this.size;
    // From four screen pixels on, a pixel is a square that can be seen and painted.
    context.imageSmoothingEnabled = view.scale * ratio < 4;
    context.drawImage(bitmap, view.x, view.y, width * view.scale, height * view.scale);
  }

  close(): void {
    for (const bitmap of this.levels) bitmap.close();
  }
}

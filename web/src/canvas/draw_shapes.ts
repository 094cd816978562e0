/** Draws what tools show above the masks. */

import type { Role, Shape } from "../editor/shapes";
import type { ImagePoint } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { boxHeight, boxWidth } from "../geometry/mask";
import type { View } from "../geometry/view";
import { toScreen } from "../geometry/view";
import { rgb } from "./paint";

/** Told apart by lightness too, for eyes that do not tell red from green. */
const COLOURS: Record<Role, string> = {
  add: "#2dd4bf",
  subtract: "#f43f5e",
  neutral: "#ffffff",
  hint: "#fde047",
};

/** @param unit - How much larger signs are than on a small screen. */
export function drawShapes(
  context: CanvasRenderingContext2D,
  shapes: readonly Shape[],
  view: View,
  imageWidth: number,
  unit: number,
): void {
  for (const shape of shapes) {
    context.save();
    context.lineJoin = context.lineCap = "round";
    drawShape(context, shape, view, imageWidth, unit);
    context.restore();
  }
}

function drawShape(
  context: CanvasRenderingContext2D,
  shape: Shape,
  view: View,
  imageWidth: number,
  unit: number,
): void {
  const colour = COLOURS[shape.role];
  switch (shape.kind) {
    case "mask":
      return drawMask(context, shape.mask, shape.role, view, imageWidth);
    case "box": {
      const { x0, y0, x1, y1 } = shape.box;
      const corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]] as const;
      trace(context, corners.map(([x, y]) => ({ x, y, frame: "image" }) as const), view, true);
      return outline(context, colour, 2);
    }
    case "dot": {
      const { x, y } = toScreen(view, shape.at);
      context.beginPath();
      context.arc(x, y, 5 * unit, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = 2 * unit;
      context.strokeStyle = "#ffffff";
      context.stroke();
      return sign(context, x, y, shape.role, unit);
    }
    case "mark": {
      const { x, y } = toScreen(view, shape.at);
      context.beginPath();
      context.arc(x, y, 11 * unit, 0, 2 * Math.PI);
      context.moveTo(x + 3 * unit, y);
      context.arc(x, y, 3 * unit, 0, 2 * Math.PI);
      return outline(context, colour, 2 * unit);
    }
    case "circle": {
      const { x, y } = toScreen(view, shape.at);
      context.beginPath();
      context.arc(x, y, Math.max(shape.radius * view.scale, 1), 0, 2 * Math.PI);
      return outline(context, colour, 1.5);
    }
    case "path":
      trace(context, shape.points, view, shape.closed);
      if (!shape.width) return outline(context, colour, shape.role === "hint" ? 0.5 : 2);
      context.globalAlpha = 0.55;
      context.strokeStyle = colour;
      context.lineWidth = shape.width * view.scale;
      return context.stroke();
  }
}

/** A white plus or minus: the meaning does not hang on the colour. */
function sign(context: CanvasRenderingContext2D, x: number, y: number, role: Role, unit: number): void {
  const arm = 2.5 * unit;
  context.lineWidth = 1.5 * unit;
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  if (role === "add") {
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
  }
  context.stroke();
}

/** A dark line below a coloured one is seen on any photograph. */
function outline(context: CanvasRenderingContext2D, colour: string, width: number): void {
  context.lineWidth = width + 2;
  context.strokeStyle = "rgba(0, 0, 0, 0.55)";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function trace(
  context: CanvasRenderingContext2D,
  points: readonly ImagePoint[],
  view: View,
  closed: boolean,
): void {
  context.beginPath();
  for (const point of points) {
    const { x, y } = toScreen(view, point);
    context.lineTo(x, y);
  }
  if (points.length === 1) context.lineTo(toScreen(view, points[0]!).x + 0.01, toScreen(view, points[0]!).y);
  if (closed) context.closePath();
}

const bitmaps = new WeakMap<Mask, OffscreenCanvas>();

/** A preview may be smaller than the image: it is stretched over it. */
function drawMask(context: CanvasRenderingContext2D, mask: Mask, role: Role, view: View, imageWidth: number): void {
  const [width, height] = [boxWidth(mask.box), boxHeight(mask.box)];
  if (!width || !height) return;
  let bitmap = bitmaps.get(mask);
  if (!bitmap) bitmaps.set(mask, (bitmap = painted(mask, role)));
  const scale = (view.scale * imageWidth) / mask.size.width;
  const [x, y] = [view.x + mask.box.x0 * scale, view.y + mask.box.y0 * scale];
  context.imageSmoothingEnabled = scale < 4;
  context.drawImage(bitmap, x, y, width * scale, height * scale);
}

function painted(mask: Mask, role: Role): OffscreenCanvas {
  const { box } = mask;
  const [width, height] = [boxWidth(box), boxHeight(box)];
  const colour = (255 << 24) | rgb(COLOURS[role]).reduceRight((sum, part) => (sum << 8) | part, 0);
  const inside = (colour & 0xffffff) | ((role === "hint" ? 70 : 120) << 24);
  const pixels = new Uint32Array(width * height);
  const of = mask.pixels;
  // By index, not by `pixelAt`: a large mask is a million pixels, and this runs between click and paint.
  for (let y = 0, i = 0; y < height; y++) {
    const isRim = y === 0 || y === height - 1;
    for (let x = 0; x < width; x++, i++) {
      if (!of[i]) continue;
      const isEdge = isRim || x === 0 || x === width - 1 || !(of[i - 1] && of[i + 1] && of[i - width] && of[i + width]);
      pixels[i] = isEdge ? colour : inside;
    }
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
  return canvas;
}

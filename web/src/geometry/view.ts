/** The camera: where the image lies on the screen. A value; pan and zoom return a new one. */

import type { Box, ImagePoint, ScreenPoint, Size } from "./frames";
import { imagePoint, screenPoint } from "./frames";

export interface View {
  /** Screen pixels per image pixel. */
  readonly scale: number;
  /** Where the image's top left corner lies on the screen. */
  readonly x: number;
  readonly y: number;
}

const MOST = 64;
const MARGIN = 24;

export function toScreen(view: View, point: ImagePoint): ScreenPoint {
  return screenPoint(point.x * view.scale + view.x, point.y * view.scale + view.y);
}

export function toImage(view: View, point: ScreenPoint): ImagePoint {
  return imagePoint((point.x - view.x) / view.scale, (point.y - view.y) / view.scale);
}

/** The whole image in the middle of the screen. */
export function fit(image: Size, screen: Size, margin = MARGIN): View {
  const across = Math.max(1, screen.width - 2 * margin) / image.width;
  const down = Math.max(1, screen.height - 2 * margin) / image.height;
  const scale = Math.min(across, down, MOST);
  return {
    scale,
    x: (screen.width - image.width * scale) / 2,
    y: (screen.height - image.height * scale) / 2,
  };
}

/** A part of the image in the middle of the screen, with some of its surroundings. */
export function fitBox(box: Box, screen: Size): View {
  const size = { width: box.x1 - box.x0, height: box.y1 - box.y0 };
  const view = fit(size, screen, Math.min(screen.width, screen.height) / 6);
  return { ...view, x: view.x - box.x0 * view.scale, y: view.y - box.y0 * view.scale };
}

/** Zoom so that what lies under a point of the screen stays there. */
export function zoomAt(view: View, at: ScreenPoint, factor: number, image: Size): View {
  const least = Math.min(0.05, 64 / Math.max(image.width, image.height));
  const scale = Math.min(Math.max(view.scale * factor, least), MOST);
  const fixed = toImage(view, at);
  return { scale, x: at.x - fixed.x * scale, y: at.y - fixed.y * scale };
}

/** How far a turn of the wheel zooms; a pinch arrives as a wheel with ctrl that turns in small steps. */
export function wheelFactor({ deltaY, deltaMode, ctrlKey }: { deltaY: number; deltaMode: number; ctrlKey: boolean }): number {
  const unit = deltaMode === 1 ? 30 : 1; // lines instead of pixels
  return Math.exp((-deltaY * unit * (ctrlKey ? 4 : 1)) / 500);
}

export function pan(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

/** Keep at least a corner of the image on the screen. */
export function keepInSight(view: View, image: Size, screen: Size): View {
  const within = (value: number, length: number, limit: number) =>
    Math.min(Math.max(value, MARGIN - length), limit - MARGIN);
  return {
    ...view,
    x: within(view.x, image.width * view.scale, screen.width),
    y: within(view.y, image.height * view.scale, screen.height),
  };
}

/** The part of the image that the screen shows. */
export function visible(view: View, screen: Size): Box {
  const first = toImage(view, screenPoint(0, 0));
  const last = toImage(view, screenPoint(screen.width, screen.height));
  return { x0: first.x, y0: first.y, x1: last.x, y1: last.y };
}

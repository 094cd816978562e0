/**
 * Points, sizes and the frames they live in; the arithmetic of `geometry.py`, mirrored.
 *
 * The image frame is the original image with EXIF applied. The input frame is the image after its
 * longer side became the model's input side, before padding right and below. A pixel is named by
 * its index and covers [index, index + 1): a click at 10.7 names pixel 10.
 */

/** Pixels of the original image. */
export type ImagePoint = { readonly x: number; readonly y: number; readonly frame: "image" };

/** CSS pixels, from the top left corner of the canvas. */
export type ScreenPoint = { readonly x: number; readonly y: number; readonly frame: "screen" };

export type Size = { readonly width: number; readonly height: number };

/** Half-open: x0 and y0 belong to it, x1 and y1 do not. Pixels of the original image. */
export type Box = {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
};

export function imagePoint(x: number, y: number): ImagePoint {
  return { x, y, frame: "image" };
}

export function screenPoint(x: number, y: number): ScreenPoint {
  return { x, y, frame: "screen" };
}

export function boxOf(a: ImagePoint, b: ImagePoint): Box {
  return {
    x0: Math.min(a.x, b.x),
    y0: Math.min(a.y, b.y),
    x1: Math.max(a.x, b.x),
    y1: Math.max(a.y, b.y),
  };
}

export function isEmptyBox(box: Box): boolean {
  return box.x1 <= box.x0 || box.y1 <= box.y0;
}

/** Cut a box off at the image's edges. */
export function clipBox(box: Box, size: Size): Box {
  const inside = (value: number, limit: number) => Math.min(Math.max(value, 0), limit);
  return {
    x0: inside(box.x0, size.width),
    y0: inside(box.y0, size.height),
    x1: inside(box.x1, size.width),
    y1: inside(box.y1, size.height),
  };
}

/** The smallest box around two; an empty one counts for nothing. */
export function joinBoxes(a: Box, b: Box): Box {
  if (isEmptyBox(a)) return b;
  if (isEmptyBox(b)) return a;
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

export function shareBoxes(a: Box, b: Box): Box {
  return {
    x0: Math.max(a.x0, b.x0),
    y0: Math.max(a.y0, b.y0),
    x1: Math.min(a.x1, b.x1),
    y1: Math.min(a.y1, b.y1),
  };
}

export function isInside(point: ImagePoint, size: Size): boolean {
  return point.x >= 0 && point.y >= 0 && point.x < size.width && point.y < size.height;
}

/** The nearest point of the image. */
export function clampPoint(point: ImagePoint, size: Size): ImagePoint {
  return imagePoint(
    Math.min(Math.max(point.x, 0), size.width),
    Math.min(Math.max(point.y, 0), size.height),
  );
}

/** Size of an image whose longer side became `inputSide`; rounds half up, as the reference does. */
export function preprocessSize(size: Size, inputSide: number): Size {
  const scale = inputSide / Math.max(size.width, size.height);
  return {
    width: Math.max(1, Math.floor(size.width * scale + 0.5)),
    height: Math.max(1, Math.floor(size.height * scale + 0.5)),
  };
}

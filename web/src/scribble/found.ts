/** What the server found, in colours: label maps and doubts come as grey PNGs and are painted here. */

export type Colour = readonly [number, number, number];

/** Colours by the value of a pixel; undefined leaves it clear. */
export type Palette = (value: number) => readonly [number, number, number, number] | undefined;

const REMOVED = [244, 63, 94, 200] as const;
const KEPT = [59, 130, 246, 150] as const;
const ADDED = [34, 197, 94, 200] as const;

/** Paint a grey PNG. */
export async function tinted(png: Blob, palette: Palette): Promise<ImageBitmap> {
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  paint(pixels.data, palette);
  context.putImageData(pixels, 0, 0);
  return canvas.transferToImageBitmap();
}

/** Replace grey by colour in RGBA pixels, in place. */
export function paint(pixels: Uint8ClampedArray, palette: Palette): void {
  const table = Array.from({ length: 256 }, (_, value) => palette(value) ?? ([0, 0, 0, 0] as const));
  for (let at = 0; at < pixels.length; at += 4) pixels.set(table[pixels[at]!]!, at);
}

/** Label maps: each class in its colour, the background clear. */
export function ofClasses(colours: readonly (Colour | undefined)[]): Palette {
  return (value) => {
    const colour = colours[value];
    return colour && [...colour, 150];
  };
}

/** The same in one colour, which is not that of anything taken or given. */
export function inBlue(palette: Palette): Palette {
  return (value) => palette(value) && KEPT;
}

/** Doubt as heat: clear where it is sure, then yellow, then red. */
export const heat: Palette = (value) => {
  const share = value / 255;
  return [255, Math.round(230 * (1 - share)), 40, Math.round(210 * Math.sqrt(share))];
};

/** What rules did: red is gone, green is new. */
export const changes: Palette = (value) => (value === 1 ? REMOVED : value === 2 ? ADDED : undefined);

export function blobOf(base64: string): Blob {
  return new Blob([Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0))], { type: "image/png" });
}

/** Paints tiles off the page's thread; keeps the masks that it was told of. */

import { maskOf } from "../document/annotation";
import type { Rle } from "../geometry/rle";
import type { Look, Painted } from "./paint";
import { paintTile, TILE } from "./paint";

export interface TileMask {
  readonly id: string;
  readonly rle: Rle;
  readonly colour: readonly [number, number, number];
  readonly selected: boolean;
  readonly machine?: boolean;
}

export type ToTiles =
  | { readonly kind: "masks"; readonly masks: readonly TileMask[]; readonly gone: readonly string[] }
  | { readonly kind: "order"; readonly ids: readonly string[]; readonly look: Look }
  | { readonly kind: "tile"; readonly key: string; readonly level: number; readonly column: number; readonly row: number; readonly stamp: number };

export interface FromTiles {
  readonly key: string;
  readonly stamp: number;
  /** Null where no mask is. */
  readonly bitmap: ImageBitmap | null;
}

const known = new Map<string, Painted>();
let order: readonly string[] = [];
let look: Look = { opacity: 0.4, outlines: true };

self.onmessage = ({ data }: MessageEvent<ToTiles>) => {
  switch (data.kind) {
    case "masks":
      for (const id of data.gone) known.delete(id);
      for (const { id, rle, colour, selected, machine = false } of data.masks) {
        known.set(id, { mask: maskOf(rle), colour, selected, machine });
      }
      break;
    case "order":
      ({ ids: order, look } = data);
      break;
    case "tile":
      void paint(data);
      break;
  }
};

async function paint({ key, level, column, row, stamp }: Extract<ToTiles, { kind: "tile" }>) {
  const masks = order.flatMap((id) => known.get(id) ?? []);
  const pixels = paintTile(masks, look, level, column, row);
  const bitmap = pixels && (await createImageBitmap(new ImageData(pixels, TILE, TILE)));
  const answer: FromTiles = { key, stamp, bitmap };
  self.postMessage(answer, bitmap ? [bitmap] : []);
}

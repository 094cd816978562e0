/**
 * The masks as pictures: asks the worker for the tiles in sight, keeps them, and draws them.
 *
 * A frame draws at most a dozen bitmaps, however many masks there are. After a change the old tile is
 * shown until the new one has come, which is a few milliseconds.
 */

import type { Box, Size } from "../geometry/frames";
import { isEmptyBox, shareBoxes } from "../geometry/frames";
import type { View } from "../geometry/view";
import { visible } from "../geometry/view";
import { maskOf } from "../document/annotation";
import type { Look } from "./paint";
import { TILE, tileBox } from "./paint";
import type { FromTiles, TileMask, ToTiles } from "./tile_worker";

interface Tile {
  bitmap: ImageBitmap | null;
  /** Of which state of the masks it is, and which was asked for. */
  shown: number;
  asked: number;
  used: number;
}

const KEPT = 160;

export class Tiles {
  private readonly tiles = new Map<string, Tile>();
  private known = new Map<string, TileMask>();
  private look = "";
  /** Where masks changed, and when. */
  private changes: { stamp: number; box: Box }[] = [];
  private stamp = 1;
  private frame = 0;

  constructor(
    private readonly worker: Worker,
    private readonly arrived: () => void,
  ) {
    worker.onmessage = ({ data }: MessageEvent<FromTiles>) => this.receive(data);
  }

  /** Say what there is to be shown; only what differs travels. */
  set(masks: readonly TileMask[], look: Look): void {
    const next = new Map(masks.map((each) => [each.id, each]));
    const changed = masks.filter((each) => !same(this.known.get(each.id), each));
    const gone = [...this.known.values()].filter((each) => !next.has(each.id));
    const isNewLook = this.look !== JSON.stringify(look);
    if (!changed.length && !gone.length && !isNewLook) return;
    this.stamp++;
    const before = changed.flatMap((each) => this.known.get(each.id) ?? []);
    for (const { rle } of [...changed, ...gone, ...before]) {
      this.changes.push({ stamp: this.stamp, box: maskOf(rle).box });
    }
    if (isNewLook) this.changes = [{ stamp: this.stamp, box: EVERYWHERE }];
    this.known = next;
    this.look = JSON.stringify(look);
    this.send({ kind: "masks", masks: changed, gone: gone.map((each) => each.id) });
    this.send({ kind: "order", ids: masks.map((each) => each.id), look });
  }

  /** Draw what is in sight, and ask for what is missing. */
  draw(context: CanvasRenderingContext2D, view: View, screen: Size, image: Size, ratio: number): void {
    this.frame++;
    const level = Math.max(0, Math.floor(Math.log2(1 / (view.scale * ratio)) + 0.01));
    const side = TILE * 2 ** level;
    const seen = shareBoxes(visible(view, screen), { x0: 0, y0: 0, x1: image.width, y1: image.height });
    if (isEmptyBox(seen)) return;
    for (let row = Math.floor(seen.y0 / side); row * side < seen.y1; row++) {
      for (let column = Math.floor(seen.x0 / side); column * side < seen.x1; column++) {
        const tile = this.need(level, column, row);
        if (!tile.bitmap) continue;
        const [x, y] = [column * side * view.scale + view.x, row * side * view.scale + view.y];
        context.drawImage(tile.bitmap, x, y, side * view.scale, side * view.scale);
      }
    }
    this.forgetOld();
  }

  private need(level: number, column: number, row: number): Tile {
    const key = `${level}/${column}/${row}`;
    const tile = this.tiles.get(key) ?? { bitmap: null, shown: 0, asked: 0, used: 0 };
    tile.used = this.frame;
    this.tiles.set(key, tile);
    const box = tileBox(level, column, row);
    const isStale =
      tile.asked === 0 ||
      this.changes.some((each) => each.stamp > tile.asked && !isEmptyBox(shareBoxes(each.box, box)));
    if (isStale) {
      tile.asked = this.stamp;
      this.send({ kind: "tile", key, level, column, row, stamp: this.stamp });
    }
    return tile;
  }

  private receive({ key, stamp, bitmap }: FromTiles): void {
    const tile = this.tiles.get(key);
    if (!tile || stamp < tile.shown) {
      bitmap?.close();
      return;
    }
    tile.bitmap?.close();
    tile.bitmap = bitmap;
    tile.shown = stamp;
    this.arrived();
  }

  private forgetOld(): void {
    if (this.changes.length > 2000) this.changes = [{ stamp: this.stamp, box: EVERYWHERE }];
    if (this.tiles.size <= KEPT) return;
    for (const [key, tile] of this.tiles) {
      if (tile.used === this.frame) continue;
      tile.bitmap?.close();
      this.tiles.delete(key);
    }
  }

  private send(message: ToTiles): void {
    this.worker.postMessage(message);
  }
}

const EVERYWHERE: Box = { x0: -Infinity, y0: -Infinity, x1: Infinity, y1: Infinity };

function same(a: TileMask | undefined, b: TileMask): boolean {
  return (
    a !== undefined &&
    a.rle.counts === b.rle.counts &&
    a.selected === b.selected &&
    a.colour.join() === b.colour.join()
  );
}

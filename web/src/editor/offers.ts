/**
 * Regions that the project's region head outlined on this image: a click brings one up before the
 * decoder's masks.
 *
 * What masks cover already is cut away, so of two objects taken for one the second is what the first
 * has left. As `engine/offering.py` does, which the simulator plays with.
 */

import type { Candidate } from "../decoder/messages";
import { maskOf } from "../document/annotation";
import type { Document } from "../document/document";
import type { ImagePoint } from "../geometry/frames";
import { imagePoint, shareBoxes, isEmptyBox } from "../geometry/frames";
import type { Mask } from "../geometry/mask";
import { area, contains, subtract } from "../geometry/mask";
import { islandAt } from "../geometry/regions";
import { asLogits } from "../geometry/upsample";
import type { Rle } from "../geometry/rle";
import { decode } from "../geometry/rle";
import { prominenceOf } from "./prominence";
import type { Spot } from "./prominence";

/** A region of which masks leave less than this is no offer any more. */
const LEAST_SHARE = 0.2;

interface Region {
  readonly mask: Mask;
  readonly score: number;
}

export class Offers {
  private regions: readonly Region[] = [];
  private lowResSide = 0;
  /** What was found last: a pointer that hovers asks for the same again and again. */
  private last: { readonly region: Region; readonly revision: number; readonly part: Candidate } | undefined;

  constructor(private readonly document: Document) {}

  /**
   * Take over what the server found, best first.
   *
   * @param lowResSide - Of the model's logits: a click that mends a region tells the decoder of it.
   */
  know(found: readonly { readonly mask: Rle; readonly score: number }[], lowResSide: number): void {
    this.lowResSide = lowResSide;
    this.regions = found.map(({ mask, score }) => ({ mask: decode(mask), score }));
    this.last = undefined;
  }

  get isEmpty(): boolean {
    return !this.regions.length;
  }

  /** Take over the same regions, drawn anew. */
  redraw(found: readonly { readonly mask: Rle; readonly score: number }[]): void {
    this.know(found, this.lowResSide);
  }

  /** What a click here brings up, if anything. */
  at(point: ImagePoint): Candidate | undefined {
    const region = this.regions.find((each) => contains(each.mask, point));
    if (!region) return undefined;
    const { last, document } = this;
    if (last?.region === region && last.revision === document.revision && contains(last.part.mask, point)) {
      return last.part;
    }
    const mask = this.leftAt(region.mask, point);
    if (!mask) return undefined;
    const part = this.candidateOf(mask, region.score);
    this.last = { region, revision: document.revision, part };
    return part;
  }

  /** The regions as objects to go through one by one, the most prominent first. */
  spots(): Spot[] {
    const found = this.regions.map(({ mask, score }) => ({ point: middleOf(mask), mask, prominence: prominenceOf(mask, score) }));
    return found.filter(({ mask, point }) => contains(mask, point)).sort((a, b) => b.prominence - a.prominence);
  }

  private candidateOf(mask: Mask, score: number): Candidate {
    const side = this.lowResSide;
    let logits: Candidate["logits"] | undefined;
    return {
      predictedIou: score,
      cells: 0,
      mask,
      isOffered: true,
      get logits() {
        return (logits ??= asLogits(mask, side)); // of few of those that a pointer passes
      },
    };
  }

  /** What masks that are there leave of a region. */
  left(whole: Mask): Mask {
    let free = whole;
    for (const { content, review } of this.document.annotations) {
      const mask = maskOf(content.rle);
      if (review !== "rejected" && !isEmptyBox(shareBoxes(mask.box, free.box))) free = subtract(free, mask);
    }
    return free;
  }

  private leftAt(whole: Mask, point: ImagePoint): Mask | undefined {
    const part = islandAt(this.left(whole), point);
    return part && area(part) >= LEAST_SHARE * area(whole) ? part : undefined;
  }
}

/** A pixel in the middle of the row through the middle of a mask: on it, unless it is a ring. */
function middleOf({ box, pixels }: Mask): ImagePoint {
  const [width, row] = [box.x1 - box.x0, Math.floor((box.y1 - box.y0) / 2)];
  const along = pixels.subarray(row * width, (row + 1) * width);
  return imagePoint(box.x0 + (along.indexOf(1) + along.lastIndexOf(1) + 1) / 2, box.y0 + row + 0.5);
}

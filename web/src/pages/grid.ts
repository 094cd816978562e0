/** Which rows of a grid a scrolled window shows; pure, so that 100,000 images cost what 30 do. */

export interface Grid {
  readonly columns: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly height: number;
  /** Places of the first cell shown, and of the first one no longer shown. */
  readonly first: number;
  readonly last: number;
  /** Rows within the window; those beside them are fetched ahead. */
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Browsers cannot scroll through more than some 30 million pixels. */
const TALLEST = 15_000_000;
const ROWS_AHEAD = 2;

export function layOut(
  total: number,
  width: number,
  screenHeight: number,
  scrolled: number,
  wantedWidth: number,
): Grid {
  const columns = Math.max(1, Math.floor(width / wantedWidth));
  const cellWidth = Math.floor(width / columns);
  const cellHeight = Math.round(cellWidth * 0.86);
  const rows = Math.ceil(total / columns);
  const height = Math.min(rows * cellHeight, TALLEST);
  const top = Math.floor(scrolled / cellHeight) - ROWS_AHEAD;
  const first = Math.max(0, top) * columns;
  const seen = Math.ceil(screenHeight / cellHeight) + 2 * ROWS_AHEAD + 1;
  const last = Math.min(total, (Math.max(0, top) + seen) * columns);
  const firstSeen = Math.floor(scrolled / cellHeight);
  const lastSeen = Math.floor((scrolled + screenHeight) / cellHeight);
  return { columns, cellWidth, cellHeight, height, first, last, firstSeen, lastSeen };
}

/** Fetches what is in sight in blocks, and forgets the rest. */
export class Blocks<T> {
  private readonly blocks = new Map<number, readonly T[] | "coming">();
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly size: number,
    private readonly fetch: (offset: number, limit: number) => Promise<readonly T[]>,
    private readonly arrived: () => void,
  ) {}

  at(index: number): T | undefined {
    const block = this.blocks.get(Math.floor(index / this.size));
    return block === "coming" ? undefined : block?.[index % this.size];
  }

  /** Ask for what is missing, once the scrolling pauses. */
  need(first: number, last: number): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      for (let block = Math.floor(first / this.size); block * this.size < last; block++) void this.load(block);
    }, 60);
  }

  private async load(block: number): Promise<void> {
    if (this.blocks.has(block)) return;
    this.blocks.set(block, "coming");
    try {
      this.blocks.set(block, await this.fetch(block * this.size, this.size));
    } catch {
      this.blocks.delete(block);
    }
    const farthest = [...this.blocks.keys()].sort((a, b) => Math.abs(b - block) - Math.abs(a - block));
    for (const each of farthest.slice(0, Math.max(0, farthest.length - 20))) this.blocks.delete(each);
    this.arrived();
  }
}

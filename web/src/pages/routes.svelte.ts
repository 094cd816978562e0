/** Where the person is: `#/annotate/12`. The fragment never reaches a server. */

export const PAGES = ["guide", "annotate", "images", "review", "scribble", "engine", "statistics", "members"] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  readonly page: Page;
  readonly imageId: number | null;
  /** Whether the review is of an audit's sample. */
  readonly isAudit: boolean;
}

export const place: { now: Place } = $state({ now: read() });

window.addEventListener("hashchange", () => (place.now = read()));

export function go(page: Page, imageId: number | null = null): void {
  location.hash = imageId === null ? `#/${page}` : `#/${page}/${imageId}`;
}

/** Look at an audit's sample. */
export function goToAudit(): void {
  location.hash = "#/review/audit";
}

/** Where people are asked what is missing on an image that an audit drew. */
export function auditOf(imageId: number): string {
  return `#/review/audit/${imageId}`;
}

function read(): Place {
  const [, page, audit, imageId] = /^#\/(\w+)(\/audit)?(?:\/(\d+))?/.exec(location.hash) ?? [];
  const known = PAGES.find((each) => each === page) ?? "annotate";
  return { page: known, imageId: imageId ? Number(imageId) : null, isAudit: audit !== undefined };
}

/** The single-use token that the first address carried; it is taken out of the address at once. */
export function takeToken(): string | null {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (!token) return null;
  history.replaceState(null, "", location.pathname);
  place.now = read();
  return decodeURIComponent(token);
}

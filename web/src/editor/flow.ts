/** From image to image: the queue, neighbours, leases, and masks that go along. */

import { get, post, request } from "../api/client";
import type { components } from "../api/types";
import type { Annotation, Content } from "../document/annotation";
import type { ImageRow } from "../project/project.svelte";

type Wire = components["schemas"];
type Next = Wire["NextOut"];
export type Around = Wire["AroundOut"];

export async function nextInQueue(after: number | null): Promise<Next> {
  return post<Next>("/api/queue/next", { after: after ?? 0 });
}

export async function imageOf(id: number): Promise<ImageRow> {
  return get<ImageRow>(`/api/images/${id}`);
}

/** The photograph itself. */
export async function fileOf(image: ImageRow): Promise<Blob> {
  return (await request("GET", image.file_url)).blob();
}

/** The images beside one in the order of the project, and the one that the queue would give next. */
export async function around(id: number): Promise<Around> {
  return get<Around>(`/api/images/${id}/around`);
}

export async function finish(id: number): Promise<void> {
  await post(`/api/images/${id}/finish`);
}

/** Say that somebody works on an image; tells the name of another who does, if so. */
export async function lease(id: number): Promise<boolean> {
  return request("PUT", `/api/images/${id}/lease`).then(
    () => true,
    () => false,
  );
}

export function release(id: number): void {
  // The page may be going away: the request must outlive it.
  void fetch(`/api/images/${id}/lease`, { method: "DELETE", keepalive: true }).catch(() => undefined);
}

let pointedAt: string | undefined;

/** Open an image on one of its masks, as a reviewer does who mends it. */
export function pointAt(maskId: string | undefined): void {
  pointedAt = maskId;
}

/** The mask on which the image is to open, once. */
export function takePointed(): string | undefined {
  const taken = pointedAt;
  pointedAt = undefined;
  return taken;
}

let carried: Annotation | undefined;

/** Take a mask along to the next image. */
export function carry(annotation: Annotation): void {
  carried = annotation;
}

/** What was carried here, once; it must fit the image. */
export function arrive(image: ImageRow): { content: Content } | "other-size" | undefined {
  const content = carried?.content;
  carried = undefined;
  if (!content) return undefined;
  const [height, width] = content.rle.size;
  return height === image.height && width === image.width ? { content } : "other-size";
}

/** Two people changed one mask: both versions, and what a person decides. */

import type { Letter } from "../outbox/database";
import type { Annotation, Content } from "./annotation";
import type { Change } from "./changes";

export interface Conflict {
  readonly id: string;
  readonly reason: string;
  readonly mine: Content | null;
  readonly theirs: Content | null;
  readonly theirName: string;
  /** Everything that waits because of it. */
  readonly letters: readonly Letter[];
}

export type Decision = "mine" | "theirs" | "both";

/** Find what a refused letter and those behind it were about. */
export function conflictOf(
  refused: Letter,
  waiting: readonly Letter[],
  theirs: Annotation | undefined,
): Conflict {
  const id = theirs?.id ?? refused.steps[0]!.id;
  const ids = new Set(refused.steps.map((step) => step.id));
  const letters = waiting.filter(({ steps }) => steps.some((step) => ids.has(step.id)));
  const mine = letters.flatMap(({ changes }) => changes).findLast((change) => change.id === id);
  return {
    id,
    reason: refused.refused?.reason ?? "",
    mine: mine?.after ?? null,
    theirs: theirs && !theirs.deleted ? theirs.content : null,
    theirName: theirs?.changedBy ?? "",
    letters,
  };
}

/**
 * The changes that bring a decision about, on top of what the server has.
 *
 * Other masks of the same operations, such as the second half of a split, are made again unless
 * theirs is kept.
 */
export function changesFor(
  conflict: Conflict,
  decision: Decision,
  known: (id: string) => Content | null,
  newId: () => string,
): Change[] {
  if (decision === "theirs") return [];
  const wanted = new Map<string, Content | null>();
  for (const { changes } of conflict.letters) {
    for (const { id, after } of changes) wanted.set(id, after);
  }
  return [...wanted].map(([id, after]) =>
    id === conflict.id && decision === "both"
      ? { id: newId(), before: null, after }
      : { id, before: known(id), after },
  );
}

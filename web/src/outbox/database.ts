/** The browser's own store: operations on their way, histories, drafts. One per project. */

import type { DBSchema, IDBPDatabase } from "idb";
import { openDB } from "idb";
import type { Operation } from "../document/document";
import type { History } from "../document/history";

/** An operation that the server has not confirmed. */
export interface Letter extends Operation {
  /** Its place in the order; given by the store. */
  readonly place?: number;
  readonly opId: string;
  /** Milliseconds since 1970, for people only. */
  readonly at: number;
  /** Why it stays here until somebody decides. */
  readonly refused?: { readonly reason: string; readonly current: unknown };
}

/** An object that is being made and is not a mask yet. */
export interface Draft {
  readonly clicks: readonly (readonly [number, number, 0 | 1])[];
  readonly box: readonly [number, number, number, number] | null;
  /** A stroke under way, image pixels. */
  readonly stroke: { readonly tool: string; readonly path: readonly (readonly [number, number])[] } | null;
  readonly selected: string | null;
}

interface Schema extends DBSchema {
  letters: { key: number; value: Letter };
  histories: { key: number; value: History };
  drafts: { key: number; value: Draft };
}

export type Database = IDBPDatabase<Schema>;

export function openDatabase(project: string): Promise<Database> {
  return openDB<Schema>(`maskmill-${project}`, 1, {
    upgrade(database) {
      database.createObjectStore("letters", { keyPath: "place", autoIncrement: true });
      database.createObjectStore("histories");
      database.createObjectStore("drafts");
    },
  });
}

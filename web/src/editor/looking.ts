/** An editor that only looks: a reviewer moves and zooms, and changes no mask. */

import { Document } from "../document/document";
import { Effort } from "../document/effort";
import type { ImageRow } from "../project/project.svelte";
import { Editor } from "./editor";
import { Prompting } from "./prompting";

export function lookingAt(image: ImageRow, changed: () => void): Editor {
  const size = { width: image.width, height: image.height };
  const nothing = () => undefined;
  const unasked = () => Promise.reject(new Error("nobody clicks in a review"));
  const editor = new Editor({
    size,
    document: new Document(image.id, { send: nothing, keep: nothing, author: "" }),
    prompting: new Prompting({ click: unasked, hover: unasked }, String(image.id), size, changed),
    effort: new Effort(() => 0),
    modelId: null,
    newId: () => crypto.randomUUID(),
    say: nothing,
    changed,
  });
  editor.toolName = "pan";
  return editor;
}

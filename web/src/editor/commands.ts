/** What each action of the shortcuts' table does to an editor; pages add what concerns pages. */

import { maskOf } from "../document/annotation";
import type { Action } from "../settings/shortcuts";
import type { ToolName } from "../tools";
import { TOOL_NAMES } from "../tools";
import type { Editor } from "./editor";

const [FINER, COARSER] = [0.8, 1.25];

/** Do an action; tells whether it was one of the editor's. */
export function command(editor: Editor, action: Action): boolean {
  const tool = TOOL_NAMES.find((name: ToolName) => action === `tool.${name}`);
  if (tool) {
    editor.use(tool);
    return true;
  }
  const doing = COMMANDS[action];
  doing?.(editor);
  return doing !== undefined;
}

const COMMANDS: Partial<Record<Action, (editor: Editor) => void>> = {
  confirm: (editor) => editor.finish(),
  cancel: (editor) => editor.escape(),
  undo: (editor) => editor.undo(),
  redo: (editor) => editor.redo(),
  oops: (editor) => editor.undo(),
  delete: (editor) => editor.remove(),
  "mask.keep": (editor) => answer(editor, (id) => editor.document.keep(id)),
  "mask.reject": (editor) => answer(editor, () => editor.remove()),
  lead: (editor) => editor.lead(),
  "candidate.next": (editor) => editor.prompting.cycle(1),
  "candidate.previous": (editor) => editor.prompting.cycle(-1),
  "mask.next": (editor) => selectBeside(editor, 1),
  "mask.previous": (editor) => selectBeside(editor, -1),
  "category.none": (editor) => editor.categorise(null),
  "brush.smaller": (editor) => resize(editor, FINER),
  "brush.larger": (editor) => resize(editor, COARSER),
  "zoom.in": (editor) => editor.camera.zoom(1.4),
  "zoom.out": (editor) => editor.camera.zoom(1 / 1.4),
  "zoom.fit": (editor) => editor.camera.fit(),
  "zoom.mask": (editor) => fitSelected(editor),
};

function selectBeside(editor: Editor, by: 1 | -1): void {
  const { annotations } = editor.document;
  const at = annotations.findIndex((each) => each.id === editor.selected?.id);
  const next = at < 0 ? (by > 0 ? 0 : annotations.length - 1) : at + by;
  editor.select(annotations[(next + annotations.length) % annotations.length]?.id ?? null);
}

/** Keep or reject a machine-made mask and go on to the next one; the first press only goes there. */
function answer(editor: Editor, give: (id: string) => void): void {
  const { annotations } = editor.document;
  const at = annotations.findIndex((each) => each.id === editor.selected?.id);
  const asked = annotations[at]?.machine ? annotations[at] : undefined;
  const rest = [...annotations.slice(at + 1), ...annotations.slice(0, Math.max(at, 0))];
  const next = rest.find((each) => each.machine)?.id ?? null;
  if (!asked && !next) return editor.say("machine.none");
  if (asked) give(asked.id);
  editor.select(next);
}

function resize(editor: Editor, factor: number): void {
  const radius = Math.round(editor.brushRadius * factor * 2) / 2;
  const wanted = factor > 1 ? Math.max(radius, editor.brushRadius + 0.5) : radius;
  editor.brushRadius = Math.min(Math.max(wanted, 0.5), 200);
  editor.changed();
}

function fitSelected({ selected, camera }: Editor): void {
  if (selected) camera.fitBox(maskOf(selected.content.rle).box);
}

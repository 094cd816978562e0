/**
 * What a tool is: a few small states, told of the pointer, answering with changes and shapes.
 *
 * A tool knows its workbench and nothing of pages, canvases or servers.
 */

import type { Annotation } from "../document/annotation";
import type { Change } from "../document/changes";
import type { Prompting } from "../editor/prompting";
import type { Shape } from "../editor/shapes";
import type { ImagePoint, ScreenPoint, Size } from "../geometry/frames";
import type { Mask } from "../geometry/mask";

/** The pointer at one moment. */
export interface Pointer {
  readonly at: ImagePoint;
  readonly screen: ScreenPoint;
  /** Alt or the right button: the tool does its opposite. */
  readonly opposite: boolean;
  readonly shift: boolean;
}

/** What a tool may see and do. */
export interface Workbench {
  readonly size: Size;
  readonly prompting: Prompting;
  /** Image pixels per screen pixel: how far a finger's width reaches. */
  readonly pixelsPerScreenPixel: number;
  readonly brushRadius: number;
  readonly turbo: boolean;
  readonly selected: Annotation | undefined;
  readonly select: (id: string | null) => void;
  readonly annotationAt: (point: ImagePoint) => Annotation | undefined;
  /** Make a mask of the current category and select it. */
  readonly add: (label: string, mask: Mask) => void;
  /** Change a mask's pixels; one that has none left is deleted. */
  readonly redraw: (label: string, annotation: Annotation, mask: Mask) => void;
  readonly apply: (label: string, changes: readonly Change[]) => void;
  /** Turn what was asked for into a mask; tells whether there was anything. */
  readonly confirm: () => boolean;
  readonly pan: (dx: number, dy: number) => void;
  /** Tell the person something: a key of the table of messages. */
  readonly say: (message: string) => void;
  readonly changed: () => void;
  readonly newId: () => string;
}

export interface Tool {
  readonly cursor: string;
  readonly shapes: () => readonly Shape[];
  readonly pointerDown: (pointer: Pointer) => void;
  readonly pointerMove: (pointer: Pointer) => void;
  readonly pointerUp: (pointer: Pointer) => void;
  /** The pointer left the canvas. */
  readonly leave?: () => void;
  /** Give up what is under way; tells whether anything was. */
  readonly cancel: () => boolean;
  /** Enter or a double click: end what is under way; tells whether anything was. */
  readonly finish?: () => boolean;
  /** A stroke under way, to be kept in case the page dies. */
  readonly stroke?: () => readonly ImagePoint[] | null;
}

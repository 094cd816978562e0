/** What tools want shown above the masks; how it is drawn is the canvas's business. */

import type { Box, ImagePoint } from "../geometry/frames";
import type { Mask } from "../geometry/mask";

/** What a shape will do: its colour. */
export type Role = "add" | "subtract" | "neutral" | "hint";

export type Shape =
  | { readonly kind: "mask"; readonly mask: Mask; readonly role: Role }
  | { readonly kind: "box"; readonly box: Box; readonly role: Role }
  | { readonly kind: "dot"; readonly at: ImagePoint; readonly role: Role }
  /** A ring that leads the eye, of the same size at every zoom. */
  | { readonly kind: "mark"; readonly at: ImagePoint; readonly role: Role }
  | { readonly kind: "circle"; readonly at: ImagePoint; readonly radius: number; readonly role: Role }
  | {
      readonly kind: "path";
      readonly points: readonly ImagePoint[];
      /** Image pixels; 0 is a hairline. */
      readonly width: number;
      readonly closed: boolean;
      readonly role: Role;
    };

/** Where one looks: pan and zoom over one image, kept so that some of it is always in sight. */

import type { Box, ScreenPoint, Size } from "../geometry/frames";
import { screenPoint } from "../geometry/frames";
import type { View } from "../geometry/view";
import { fit, fitBox, keepInSight, pan, zoomAt } from "../geometry/view";

export class Camera {
  view: View = { scale: 1, x: 0, y: 0 };
  screen: Size = { width: 1, height: 1 };

  constructor(
    private readonly image: Size,
    private readonly changed: () => void,
  ) {}

  readonly pan = (dx: number, dy: number): void => this.look(pan(this.view, dx, dy));

  zoom(factor: number, at: ScreenPoint = screenPoint(this.screen.width / 2, this.screen.height / 2)): void {
    this.look(zoomAt(this.view, at, factor, this.image));
  }

  /** The whole image. */
  fit(): void {
    this.look(fit(this.image, this.screen));
  }

  fitBox(box: Box): void {
    this.look(fitBox(box, this.screen));
  }

  private look(view: View): void {
    this.view = keepInSight(view, this.image, this.screen);
    this.changed();
  }
}

"""Make the README's picture: a photograph, everything mode, and a box and a point answered.

    python docs/make_picture.py

The photograph is one that scikit-image ships; the masks are the embedded model's.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import AutomaskConfig, Predictor, draw_masks, draw_prompts
from maskmill.automask import automask
from maskmill.demo import load_scenes
from maskmill.formats.prompts import NamedPrompt
from maskmill.segment import segment

PICTURE = Path(__file__).parent / "picture.jpg"
SCENE = "coffee"
GAP = 12


def make(predictor: Predictor, settings: AutomaskConfig) -> Image.Image:
    """Draw the three panels side by side on white."""
    scene, photograph = next(pair for pair in load_scenes() if pair[0].name == SCENE)
    everything = automask(predictor, photograph, settings)
    prompts = [NamedPrompt(prompt=prompt) for _, prompt in scene.prompts]
    answers = segment(predictor, photograph, prompts)
    panels = [
        photograph,
        draw_masks(photograph, [mask.rle for mask in everything]),
        draw_prompts(
            draw_masks(photograph, [mask.rle for mask in answers]),
            [named.prompt for named in prompts],
        ),
    ]
    gap = np.full((photograph.shape[0], GAP, 3), 255, np.uint8)
    return Image.fromarray(np.hstack([panels[0], gap, panels[1], gap, panels[2]]))


if __name__ == "__main__":
    predictor = Predictor.load()
    # The model's id goes into the file: a test fails where the picture is not the shipped model's.
    picture = make(predictor, AutomaskConfig())
    picture.save(PICTURE, quality=82, optimize=True, comment=predictor.model_id)

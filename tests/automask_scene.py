"""A made-up scene that answers prompts, and the reference generator driven by it or by our model.

Random weights draw noise whose boxes all coincide, so that everything mode would keep one mask. The
scene stands in for what a trained decoder says: wholes, parts and subparts, nested, some unstable,
some doubtful, each slightly different from every point inside it. Points live in the input frame.
"""

from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch

from maskmill.config import TINY, ModelConfig
from maskmill.model.grid_iou import drawn_share_and_doubt
from maskmill.model.sam import Sam
from maskmill.model.torch_backend import TorchBackend
from maskmill.predict import Predictor


@dataclass(frozen=True)
class Thing:
    """An ellipse; centre and radii as shares of the frame's side, slope in logits per radius."""

    level: int
    centre: tuple[float, float]
    radii: tuple[float, float]
    slope: float
    predicted_iou: float


class Scene:
    """Three nested levels of ellipses in a padded square frame.

    Args:
        input_side: Side of the frame, pixels.
        low_side: Side of low-res masks, pixels.
        size: (H, W) of the image within the frame, pixels; wholes stand on a grid over it.
        wholes: Along each side.
    """

    def __init__(
        self,
        input_side: int,
        low_side: int,
        size: tuple[int, int],
        *,
        wholes: int = 4,
        seed: int = 0,
    ) -> None:
        self.input_side, self.low_side = input_side, low_side
        rng = np.random.default_rng(seed)
        self.things: list[Thing] = []
        h, w = size[0] / input_side, size[1] / input_side
        for i in range(wholes * wholes):
            cell = np.array([w, h]) / wholes
            centre = (np.array([i % wholes, i // wholes]) + rng.uniform(0.4, 0.6, 2)) * cell
            self._nest(rng, centre, cell * rng.uniform(0.3, 0.48, 2), 0)
        y, x = (np.mgrid[:low_side, :low_side] + 0.5) / low_side
        self.table = np.stack([self._logits(thing, x, y, rng) for thing in self.things])

    def _nest(
        self, rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray, level: int
    ) -> None:
        slope = float(rng.choice([50.0, 80.0, 200.0], p=[0.1, 0.2, 0.7]))
        iou = float(rng.uniform(0.86, 1.0))
        self.things.append(Thing(level, tuple(centre), tuple(radii), slope, iou))
        if level < 2:
            for side in (-0.45, 0.45):
                shift = radii * np.array([side, rng.uniform(-0.2, 0.2)])
                self._nest(rng, centre + shift, radii * rng.uniform(0.4, 0.5, 2), level + 1)

    def _logits(
        self, thing: Thing, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        distance = self._distance(thing, x, y)
        ripple = 0.04 * np.sin(40 * x + rng.uniform(0, 6)) * np.cos(35 * y + rng.uniform(0, 6))
        logits = (1 + ripple - distance) * thing.slope
        return np.clip(logits, -20, 20).astype(np.float32)

    @staticmethod
    def _distance(thing: Thing, x: Any, y: Any) -> Any:
        return np.hypot(
            (x - thing.centre[0]) / thing.radii[0], (y - thing.centre[1]) / thing.radii[1]
        )

    def _found(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return per point and level the thing it lies in, or -1, and a pseudo-random share."""
        points = points.astype(np.float64)
        found = np.full((len(points), 3), -1)
        centres = np.array([thing.centre for thing in self.things])
        radii = np.array([thing.radii for thing in self.things])
        away = (points[:, None] / self.input_side - centres) / radii
        for i, inside in enumerate((np.hypot(away[..., 0], away[..., 1]) < 0.97).T):
            found[inside, self.things[i].level] = i
        x, y = np.rint(points.T * 4).astype(np.int64)
        share = ((x * 7919 + y * 104729)[:, None] + np.arange(3) * 31) % 1009 / 1009
        return found, share

    def predicted_iou(self, points: np.ndarray) -> np.ndarray:
        """Return predicted IoU, `n 3`."""
        found, share = self._found(points)
        sure = np.array([thing.predicted_iou for thing in self.things])[found]
        return np.where(found >= 0, sure - 0.03 * share, 0.3 * share).astype(np.float32)

    def logits(self, points: np.ndarray) -> np.ndarray:
        """Return low-res mask logits, `n 3 low low`."""
        found, share = self._found(points)
        wobble = (3 * (share - 0.5)).astype(np.float32)[..., None, None]
        logits = np.full((*found.shape, self.low_side, self.low_side), np.float32(-10))
        for i, k in np.argwhere(found >= 0):
            np.add(self.table[found[i, k]], wobble[i, k], out=logits[i, k])
        return logits


class SceneBackend:
    """A backend of `Predictor` that answers from a scene; it runs no model."""

    def __init__(self, scenes: dict[tuple[int, int], Scene], config: ModelConfig = TINY) -> None:
        self.scenes, self.config, self.calls = scenes, config, 0
        self.scene: Scene | None = None

    def encode(self, image: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        self.scene = scene_of(self.scenes, torch.from_numpy(image))
        return np.zeros((1, 1, 2, 2), np.float32), ()

    def decode(
        self,
        embedding: np.ndarray,
        high_res: tuple[np.ndarray, ...],
        point_coords: np.ndarray,
        point_labels: np.ndarray,
        mask_input: np.ndarray | None,
        multimask_output: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        assert self.scene is not None
        self.calls += len(point_coords)
        points = point_coords[:, 0]
        return self.scene.logits(points), self.scene.predicted_iou(points)


def scene_of(scenes: dict[tuple[int, int], Scene], frame: torch.Tensor) -> Scene:
    """Tell the scene of a padded frame by what is not padding, so that crops have their own."""
    used = frame[0].abs().sum(0) > 0
    size = int(used.any(1).sum()), int(used.any(0).sum())
    if size not in scenes:
        side = frame.shape[-1]
        scenes[size] = Scene(side, side // 4, size, seed=sum(size))
    return scenes[size]


def scene_predictor(config: ModelConfig = TINY) -> Predictor:
    """Return a predictor that answers from a scene of the image's shape."""
    return Predictor(SceneBackend({}, config), config, model_id="scene", backend_name="scene")


class ReferenceSam:
    """What the reference's predictor and generator ask of a `Sam`, answered by ours or by a scene.

    Args:
        reference: The package `segment_anything`.
        sam: Our model; None to encode nothing and answer from a scene only.
        scenes: Replaces the decoder's output if it is given, after the decoder ran.
        config: The model's sizes.
    """

    image_format = "RGB"
    device = torch.device("cpu")

    def __init__(
        self,
        reference: ModuleType,
        sam: Sam | None,
        scenes: dict[tuple[int, int], Scene] | None = None,
        config: ModelConfig = TINY,
    ) -> None:
        self.sam, self.scenes, self.config = sam, scenes, config
        self.mask_threshold = config.mask_threshold
        self.pixel_mean = torch.tensor(config.pixel_mean).view(-1, 1, 1)
        self.pixel_std = torch.tensor(config.pixel_std).view(-1, 1, 1)
        self._reference = reference.modeling.Sam
        self.prompt_encoder = SimpleNamespace(get_dense_pe=self._dense_pe)
        self.prompt_encoder = _Callable(self._prompts, get_dense_pe=self._dense_pe)
        self.image_encoder = _Callable(self._encode, img_size=config.input_side)
        self.mask_decoder = _Callable(self._decode)

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        return self._reference.preprocess(self, x)

    def postprocess_masks(self, *args: Any) -> torch.Tensor:
        return self._reference.postprocess_masks(self, *args)

    def _dense_pe(self) -> torch.Tensor:
        return self.sam.prompt_encoder.dense_pe() if self.sam else torch.zeros(1)

    def _encode(self, frame: torch.Tensor) -> torch.Tensor:
        if self.scenes is not None:
            self.scene = scene_of(self.scenes, frame)
        if self.sam is None:
            return torch.zeros(1, 1, 2, 2)
        self.embedding, self.high_res = self.sam.encode(frame)
        return self.embedding

    def _prompts(self, *, points: Any, boxes: None, masks: None) -> tuple[torch.Tensor, Any]:
        coords, labels = points
        self.points = coords[:, 0].numpy()
        if self.sam is None:
            return coords, None
        n = len(coords)
        coords = torch.cat([coords.float(), torch.zeros(n, 1, 2)], dim=1)
        labels = torch.cat([labels, -torch.ones(n, 1, dtype=labels.dtype)], dim=1)
        self.prompts = coords, labels
        sparse = self.sam.embed_points(self.embedding, self.high_res, coords, labels)
        return sparse, self.sam.prompt_encoder.embed_masks(None)

    def _decode(
        self,
        *,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.sam is not None:
            keys = image_embeddings.flatten(2).transpose(1, 2) + dense_prompt_embeddings
            attended = self.sam.mask_decoder.attend(keys, image_pe, sparse_prompt_embeddings)
            chosen = slice(1, None) if multimask_output else slice(0, 1)
            described = self.sam.describe(self.embedding, self.high_res)
            maps = self.sam.draw_maps(described, *self.prompts)
            masks = self.sam.mask_decoder.draw(attended, self.high_res, chosen, maps)
            iou, judge = attended.predicted_iou[:, chosen], self.sam.mask_decoder.grid_iou
            # The reference's generator judges masks as it was told to; ours tells what it knows.
            judged = iou if judge is None else judge.worth(iou, *drawn_share_and_doubt(masks))
            answer = masks, judged
        if self.scenes is not None:
            scene = self.scene
            logits, iou = scene.logits(self.points), scene.predicted_iou(self.points)
            return torch.from_numpy(logits), torch.from_numpy(iou)
        return answer


class _Callable:
    """A function with attributes, as a module of the reference has them."""

    def __init__(self, function: Any, **attributes: Any) -> None:
        self._function = function
        self.__dict__.update(attributes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


class SceneOverTorch(TorchBackend):
    """The real model runs and a scene replaces what its decoder says; for weights that are random.

    Args:
        sam: A model in evaluation mode.
        scenes: By size of the image in the input frame; made where one is missing.
    """

    def __init__(self, sam: Sam, scenes: dict[tuple[int, int], Scene]) -> None:
        super().__init__(sam)
        self.scenes = scenes

    def encode(self, image: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        self.scene = scene_of(self.scenes, torch.from_numpy(image))
        return super().encode(image)

    def point_decoder(self, embedding: np.ndarray, high_res: tuple[np.ndarray, ...]) -> Any:
        return _SceneDecoder(super().point_decoder(embedding, high_res), self.scene)


class _SceneDecoder:
    def __init__(self, real: Any, scene: Scene) -> None:
        self.real, self.scene, self.threads = real, scene, real.threads
        self.most_at_once = real.most_at_once

    def attend(self, points: np.ndarray) -> tuple[Any, np.ndarray]:
        seen, _ = self.real.attend(points)
        return (seen, points), self.scene.predicted_iou(points)

    def draw(self, seen: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.real.draw(seen[0], rows)
        return self.scene.logits(seen[1][rows]), self.scene.predicted_iou(seen[1][rows])


def published_reference(
    reference: ModuleType, sam: Sam, scenes: dict[tuple[int, int], Scene]
) -> Any:
    """Return the reference's own `Sam` with our vit_b's weights, its decoder's answer replaced."""
    theirs = reference.sam_model_registry["vit_b"]().eval()
    theirs.load_state_dict(sam.state_dict(), strict=False)
    encoder, decoder, prompts = theirs.image_encoder, theirs.mask_decoder, theirs.prompt_encoder
    state: dict[str, Any] = {}

    def encode(frame: torch.Tensor) -> torch.Tensor:
        state["scene"] = scene_of(scenes, frame)
        return encoder(frame)

    def prompt(*, points: Any, boxes: None, masks: None) -> Any:
        state["points"] = points[0][:, 0].numpy()
        return prompts(points=points, boxes=boxes, masks=masks)

    def decode(**arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        decoder(**arguments)
        scene, points = state["scene"], state["points"]
        iou, logits = scene.predicted_iou(points), scene.logits(points)
        return torch.from_numpy(logits), torch.from_numpy(iou)

    # Assigned past nn.Module's own setter, which takes nothing but modules in these places.
    for name, function, attributes in (
        ("image_encoder", encode, {"img_size": encoder.img_size}),
        ("prompt_encoder", prompt, {"get_dense_pe": prompts.get_dense_pe}),
        ("mask_decoder", decode, {}),
    ):
        del theirs._modules[name]
        theirs.__dict__[name] = _Callable(function, **attributes)
    return theirs

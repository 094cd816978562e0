"""The model that is served: what browsers must know of it, and decoding for those that cannot."""

import base64
import threading
from pathlib import Path

import numpy as np

from maskmill import rle
from maskmill.config import ModelConfig, TinyConfig
from maskmill.errors import PromptError
from maskmill.onnx_backend import DECODER_FILE, MASK_DECODER_FILE
from maskmill.predict import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, PADDING_LABEL, Predictor
from maskmill.server.wire import Mask
from maskmill.server.wire_images import CandidateOut, DecodeRequest, ModelOut
from maskmill.store import Project
from maskmill.values import Embedding, Prompt
from maskmill.weights import config_of, model_folder, model_id_of, read_card

PATCH, HIGH_RES = 16, (8, 4)
"""Pixels of the input frame under one place of the embedding, and of the finer maps."""
INPUTS = ("embedding", "high_res_8", "high_res_4")
FILES = {"decoder.onnx": DECODER_FILE, "decoder_mask.onnx": MASK_DECODER_FILE}
"""What a browser may fetch of a model's folder."""


class Decoder:
    """One model over one project.

    Args:
        project: Open for writing; the model is made known to it.
        model: A model's name or folder.
        threads: Threads per call; by default the runtime's.
    """

    def __init__(self, project: Project, model: str, *, threads: int | None = None) -> None:
        self.folder = model_folder(model)
        card = read_card(self.folder)
        self.model, self.model_id = model, model_id_of(card)
        self.config: ModelConfig = config_of(card)
        self.row_id = project.models.add(self.model_id, name=self.config.name).id
        self.threads = threads
        self._lock = threading.Lock()
        self._predictor: Predictor | None = None

    def described(self) -> ModelOut:
        """Say what a browser must know."""
        shapes = embedding_shapes(self.config)
        version = f"?v={self.model_id}"
        urls = {
            name: f"/api/model/{name}{version}" if (self.folder / file).is_file() else None
            for name, file in FILES.items()
        }
        return ModelOut(
            id=self.model_id,
            name=self.config.name,
            input_side=self.config.input_side,
            low_res_side=self.config.low_res_side,
            mask_threshold=self.config.mask_threshold,
            num_candidates=self.config.decoder.num_multimask_outputs,
            embedding_shapes=shapes,
            embedding_inputs=list(INPUTS[: len(shapes)]),
            padding_label=PADDING_LABEL,
            box_labels=[BOX_TOP_LEFT, BOX_BOTTOM_RIGHT],
            decoder_url=urls["decoder.onnx"],
            decoder_mask_url=urls["decoder_mask.onnx"],
        )

    def file(self, name: str) -> Path:
        """Return the path of one of `FILES`."""
        return self.folder / FILES[name]

    def decode(self, embedding: Embedding, request: DecodeRequest) -> list[CandidateOut]:
        """Decode one prompt, for a browser that cannot.

        Raises:
            PromptError: If the prompt is empty, malformed or outside the image.
        """
        prompt = self._prompt(request)
        found = self._loaded().predict(
            embedding, [prompt], multimask_output=request.multimask_output, names=["the prompt"]
        )
        masks = found.masks()[0]
        return [
            CandidateOut(
                mask=wire_mask(rle.encode(masks[place])),
                predicted_iou=float(found.predicted_iou[0, place]),
                low_res_mask_logits=base64.b64encode(
                    found.low_res_mask_logits[0, place].astype("<f2").tobytes()
                ).decode(),
            )
            for place in range(len(masks))
        ]

    def _prompt(self, request: DecodeRequest) -> Prompt:
        side = self.config.low_res_side
        mask_input = None
        if request.mask_input is not None:
            try:
                content = base64.b64decode(request.mask_input, validate=True)
                values = np.frombuffer(content, "<f2").astype(np.float32).reshape(side, side)
            except ValueError as error:
                raise PromptError(
                    f"mask_input is no base64 of {side} x {side} float16; send one that came back"
                ) from error
            mask_input = np.nan_to_num(values).clip(-100, 100)
        points, labels = request.points or [], request.labels or []
        if len(points) != len(labels):
            raise PromptError(
                f"the prompt has {len(points)} points and {len(labels)} labels; give one per point"
            )
        given = bool(points)
        return Prompt(
            point_coords=np.array(points, np.float32).reshape(-1, 2) if given else None,
            point_labels=np.array(labels, np.int64) if given else None,
            box=None if request.box is None else np.array(request.box, np.float32),
            mask_input=mask_input,
        )

    def _loaded(self) -> Predictor:
        with self._lock:
            if self._predictor is None:
                self._predictor = Predictor.load(self.model, threads=self.threads)
            return self._predictor


def embedding_shapes(config: ModelConfig) -> list[list[int]]:
    """Return (C, H, W) of each array of a model's embeddings."""
    grids = [(config.decoder.transformer_dim, PATCH)]
    if isinstance(config.encoder, TinyConfig) and config.decoder.high_res:
        grids += zip(config.encoder.high_res_dims, HIGH_RES, strict=True)
    sides = [config.input_side // stride for _, stride in grids]
    return [[channels, side, side] for (channels, _), side in zip(grids, sides, strict=True)]


def wire_mask(mask: rle.Rle) -> Mask:
    """Write a mask as it travels."""
    return Mask(size=list(mask.size), counts=mask.counts.decode("ascii"))


def embedding_bytes(embedding: Embedding) -> bytes:
    """Return an embedding as it travels: float16, little-endian, array behind array."""
    arrays = (embedding.array, *embedding.high_res)
    return b"".join(np.ascontiguousarray(array, "<f2").tobytes() for array in arrays)

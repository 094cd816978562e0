"""The whole model: image encoder, prompt encoder and mask decoder behind two functions.

`Sam.encode` sees pixels once per image; `Sam.decode` answers prompts. Both work in the padded
square input frame; resizing, padding and thresholds belong to `maskmill.predict`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from maskmill.config import ModelConfig, TinyConfig, VitConfig
from maskmill.errors import ConfigError
from maskmill.model.image_encoder import ImageEncoderViT
from maskmill.model.likeness import Likeness
from maskmill.model.mask_decoder import Attended, MaskDecoder
from maskmill.model.prompt_encoder import PromptEncoder
from maskmill.model.tiny_encoder import TinyEncoder


class Sam(nn.Module):
    """The promptable model of the paper, with any of our image encoders.

    Args:
        config: The variant; see `maskmill.config.MODEL_CONFIGS`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.decoder.transformer_dim
        self.image_encoder: nn.Module
        if isinstance(config.encoder, VitConfig):
            self.image_encoder = ImageEncoderViT(
                config.encoder, input_side=config.input_side, out_chans=dim
            )
        else:
            assert isinstance(config.encoder, TinyConfig)
            self.image_encoder = TinyEncoder(config.encoder, out_chans=dim)
        self.prompt_encoder = PromptEncoder(
            dim,
            input_side=config.input_side,
            embedding_side=config.embedding_side,
            mask_in_chans=config.decoder.mask_in_chans,
            look_chans=sum(_map_chans(config)) if config.decoder.look_at_points else 0,
        )
        self.likeness = Likeness(_map_chans(config)) if config.decoder.likeness else None
        self.mask_decoder = MaskDecoder(config.decoder, embedding_side=config.embedding_side)

    def resize_input(self, input_side: int) -> None:
        """Let the model work on another input side, a multiple of 32; convolutional encoders only.

        Nothing learned depends on the side; positions are shares of the frame.

        Raises:
            ConfigError: If the encoder's position table fixes the side, or 32 does not divide it.
        """
        if input_side == self.prompt_encoder.input_side:
            return
        if isinstance(self.config.encoder, VitConfig) or input_side % 32:
            raise ConfigError(
                f"input side {input_side} is not allowed for {self.config.name}: "
                "the tiny encoder takes multiples of 32, a ViT only the side it was built for"
            )
        self.prompt_encoder.input_side = input_side
        self.prompt_encoder.embedding_side = input_side // self.config.embedding_stride
        self.mask_decoder.embedding_side = input_side // self.config.embedding_stride

    def encode(
        self, image: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b c h w"], tuple[Float[Tensor, "b _c _h _w"], ...]]:
        """Encode normalised, padded images.

        Returns:
            The embedding, and finer maps for the mask decoder (none for the paper's encoders).
        """
        embedding, high_res = self.image_encoder(image)
        return embedding, high_res

    def embed_points(
        self,
        embedding: Float[Tensor, "m c h w"],
        high_res: tuple[Float[Tensor, "_ _ _ _"], ...],
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
    ) -> Float[Tensor, "n p c"]:
        """Turn points and box corners into tokens, which may know what the image shows there."""
        tokens = self.prompt_encoder.embed_points(point_coords, point_labels)
        if self.prompt_encoder.look is None:
            return tokens
        maps = (embedding, *high_res)
        return tokens + self.prompt_encoder.embed_looks(maps, point_coords, point_labels)

    def attend(
        self,
        embedding: Float[Tensor, "m c h w"],
        high_res: tuple[Float[Tensor, "_ _ _ _"], ...],
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
        mask_input: Float[Tensor, "n 1 low_h low_w"] | None = None,
    ) -> Attended:
        """Run prompts through the transformer and draw no mask yet; arguments as in `decode`."""
        sparse = self.embed_points(embedding, high_res, point_coords, point_labels)
        dense = self.prompt_encoder.embed_masks(mask_input)
        keys = embedding.flatten(2).transpose(1, 2) + dense
        return self.mask_decoder.attend(keys, self.prompt_encoder.dense_pe(), sparse)

    def describe(
        self,
        embedding: Float[Tensor, "m c h w"],
        high_res: tuple[Float[Tensor, "_ _ _ _"], ...],
    ) -> Float[Tensor, "m groups d low_h low_w"] | None:
        """Describe every low-res pixel for likeness; None for a model that does not use it."""
        return None if self.likeness is None else self.likeness.descriptors((embedding, *high_res))

    def draw_maps(
        self,
        described: Float[Tensor, "m groups d low_h low_w"] | None,
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
    ) -> Float[Tensor, "n maps low_h low_w"] | None:
        """Draw what the mask decoder adds to its masks: nearness and likeness to the prompts."""
        maps = []
        if self.config.decoder.prompt_maps:
            maps.append(self.prompt_encoder.draw_maps(point_coords, point_labels))
        if self.likeness is not None:
            places = (point_coords + 0.5) / self.prompt_encoder.input_side
            maps.append(self.likeness(described, places, point_labels))
        return torch.cat(maps, dim=1) if maps else None

    def decode(
        self,
        embedding: Float[Tensor, "m c h w"],
        high_res: tuple[Float[Tensor, "_ _ _ _"], ...],
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
        mask_input: Float[Tensor, "n 1 low_h low_w"] | None = None,
        *,
        multimask_output: bool,
    ) -> tuple[Float[Tensor, "n k low_h low_w"], Float[Tensor, "n k"]]:
        """Predict masks for `n` prompts on one image (`m` = 1), or on one image each (`m` = `n`).

        Args:
            embedding: From `encode`.
            high_res: From `encode`.
            point_coords: (x, y) in the input frame.
            point_labels: 1 foreground, 0 background, 2 and 3 box corners, -1 padding.
            mask_input: Low-res mask logits of an earlier answer.
            multimask_output: Three candidates, or the one mask.

        Returns:
            Low-res mask logits over the padded frame, and predicted IoU.
        """
        attended = self.attend(embedding, high_res, point_coords, point_labels, mask_input)
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        described = self.describe(embedding, high_res)
        maps = self.draw_maps(described, point_coords, point_labels)
        masks = self.mask_decoder.draw(attended, high_res, chosen, maps)
        return masks, attended.predicted_iou[:, chosen]


def _map_chans(config: ModelConfig) -> tuple[int, ...]:
    """Count the channels of the embedding and of the finer maps."""
    finer = config.encoder.high_res_dims if isinstance(config.encoder, TinyConfig) else ()
    return (config.decoder.transformer_dim, *finer)


def build(config: ModelConfig, *, seed: int = 0) -> Sam:
    """Build a model with random weights, the same for the same seed.

    Example:
        >>> from maskmill.config import TINY
        >>> sum(p.numel() for p in build(TINY).parameters()) < 6_000_000
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Sam(config)

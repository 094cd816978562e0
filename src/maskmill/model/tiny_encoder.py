"""The embedded default's image encoder: small, for CPUs, at home at any input size.

Convolutional blocks with batch normalisation at strides 4, 8 and 16, attention at stride 32 where
it is cheap, then back up to stride 16. Batch normalisation folds into the convolutions for
inference. Nothing depends on the input's side, so training can begin small. Finer maps leave beside
the embedding: they give the mask decoder edges that a stride of 16 cannot hold.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.config import TinyConfig


def conv_bn(
    in_chans: int, out_chans: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Build a convolution without bias and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(
            in_chans, out_chans, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_chans),
    )


class ConvBlock(nn.Module):
    """Depthwise 5x5, then a pointwise MLP, around a residual; ConvNeXt's shape with batch norm."""

    def __init__(self, channels: int, expansion: int = 3) -> None:
        super().__init__()
        self.depthwise = conv_bn(channels, channels, 5, groups=channels)
        self.expand = conv_bn(channels, channels * expansion, 1)
        self.project = conv_bn(channels * expansion, channels, 1)
        nn.init.zeros_(self.project[1].weight)  # type: ignore[arg-type]  # starts as identity

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Apply the block."""
        out: Tensor = x + self.project(F.gelu(self.expand(self.depthwise(x))))
        return out


class AttentionBlock(nn.Module):
    """A pre-norm transformer block over all cells, with a depthwise convolution for position."""

    def __init__(self, channels: int, num_heads: int, expansion: int = 3) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.position = conv_bn(channels, channels, 3, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.lin1 = nn.Linear(channels, expansion * channels)
        self.lin2 = nn.Linear(expansion * channels, channels)
        for linear in (self.out_proj, self.lin2):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Apply the block."""
        x = x + self.position(x)
        b, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # b hw c
        qkv = self.qkv(self.norm1(tokens)).reshape(b, h * w, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each b heads hw d
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        tokens = tokens + self.out_proj(attended)
        tokens = tokens + self.lin2(F.gelu(self.lin1(self.norm2(tokens))))
        out: Tensor = tokens.transpose(1, 2).reshape(b, c, h, w)
        return out


class TinyEncoder(nn.Module):
    """Encode an image at stride 16, with finer maps at strides 8 and 4.

    Args:
        config: Widths and depths.
        out_chans: Channels of the embedding.
    """

    def __init__(self, config: TinyConfig, *, out_chans: int) -> None:
        super().__init__()
        w4, w8, w16, w32 = config.widths
        d4, d8, d16, d32 = config.depths
        self.stem = nn.Sequential(
            conv_bn(3, w4 // 2, 3, stride=2), nn.GELU(), conv_bn(w4 // 2, w4, 3, stride=2)
        )
        self.stage4 = nn.Sequential(*(ConvBlock(w4) for _ in range(d4)))
        self.down8 = conv_bn(w4, w8, 3, stride=2)
        self.stage8 = nn.Sequential(*(ConvBlock(w8) for _ in range(d8)))
        self.down16 = conv_bn(w8, w16, 3, stride=2)
        self.stage16 = nn.Sequential(*(ConvBlock(w16) for _ in range(d16)))
        self.down32 = conv_bn(w16, w32, 3, stride=2)
        self.stage32 = nn.Sequential(*(AttentionBlock(w32, config.num_heads) for _ in range(d32)))
        self.up16 = conv_bn(w32, w16, 1)
        self.mix16 = ConvBlock(w16)
        self.neck = nn.Conv2d(w16, out_chans, 1)
        self.context8 = nn.Conv2d(w16, config.high_res_dims[0], 1)
        self.high_res8 = nn.Conv2d(w8, config.high_res_dims[0], 1)
        self.high_res4 = nn.Conv2d(w4, config.high_res_dims[1], 1)

    def forward(
        self, image: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b c h w"], tuple[Float[Tensor, "b _c _h _w"], ...]]:
        """Encode normalised images whose side is a multiple of 32."""
        x4 = self.stage4(self.stem(image))
        x8 = self.stage8(self.down8(x4))
        x16 = self.stage16(self.down16(x8))
        x32 = self.stage32(self.down32(x16))
        up = F.interpolate(self.up16(x32), scale_factor=2.0, mode="nearest")
        x16 = self.mix16(x16 + up)
        context = F.interpolate(self.context8(x16), scale_factor=2.0, mode="nearest")
        return self.neck(x16), (self.high_res8(x8) + context, self.high_res4(x4))


def fold_batch_norm(module: nn.Module) -> None:
    """Fold every batch normalisation into the convolution before it, in place; for inference.

    Only sequences of a convolution directly followed by its normalisation are changed. Evaluation
    results stay the same to rounding.
    """
    for child in module.modules():
        if not isinstance(child, nn.Sequential):
            continue
        for i in range(len(child) - 1):
            conv, norm = child[i], child[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                child[i] = torch.nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
                child[i + 1] = nn.Identity()

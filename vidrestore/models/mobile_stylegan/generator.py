"""The generator of MobileStyleGAN (Belousov 2021, arXiv 2104.04767, figure 2).

Distilled from StyleGAN2 at 1024 pixels, with StyleGAN2's mapping. Against StyleGAN2: features are
doubled by an inverse Haar transform, convolutions are separable, and only the last level makes an
image, as wavelet bands (the heads of the other levels serve the paper's training and were not
published). Seven levels to 512 pixels have 8.0 million parameters, the mapping has 2.1 million.
Names of tensors are those of the published file where it has names.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from vidrestore.models.mobile_stylegan.layers import ImageHead, StyleConv, WaveletUpsample
from vidrestore.models.stylegan2.layers import NormStyleCode, ScaledLeakyReLU, channels_by_size
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    FeatureHook,
    Noise,
    NoiseBuffers,
    identity_hook,
    scale_count,
)

STYLES_PER_LEVEL = 3
"""Style codes of a level: of the wavelet and of two convolutions."""


class SynthesisLevel(nn.Module):
    """Doubles the size: the inverse wavelet and two convolutions."""

    def __init__(self, *, coarse: int, fine: int, style_dim: int, isconcat: bool = False) -> None:
        super().__init__()
        wide = 2 if isconcat else 1
        self.up = WaveletUpsample(channels=coarse * wide, style_dim=style_dim, groups=wide)
        self.conv1 = StyleConv(
            in_channels=coarse * wide // 4,
            out_channels=fine,
            style_dim=style_dim,
            isconcat=isconcat,
        )
        self.conv2 = StyleConv(
            in_channels=fine * wide, out_channels=fine, style_dim=style_dim, isconcat=isconcat
        )


class MobileStyleGAN(nn.Module):
    """Mapping and synthesis; a ``GenerativePrior``.

    Args:
        out_size: Side of the last features and of the image, a power of two.
        num_style_feat: Size of a style code.
        num_mlp: Layers of the mapping.
        channel_multiplier: Factor of the channels at 64 pixels and above.
        narrow: Factor of all channels, which must stay multiples of four.
        isconcat: Whether features are concatenated instead of adding noise, as in GPEN.
    """

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
        isconcat: bool = False,
    ) -> None:
        super().__init__()
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        odd = [side for side in channels if side < out_size and channels[side] % 4]
        if odd:
            raise ValueError(
                f"channels must be multiples of 4, got {channels[odd[0]]} at {odd[0]} pixels; "
                "choose another narrow"
            )
        self.out_size = out_size
        self.num_style_feat = num_style_feat
        self.num_latent = STYLES_PER_LEVEL * scales + 2
        mapping: list[nn.Module] = [NormStyleCode()]
        for _ in range(num_mlp):
            mapping += [nn.Linear(num_style_feat, num_style_feat), ScaledLeakyReLU()]
        self.style_mlp = nn.Sequential(*mapping)
        self.register_buffer("mean_style", torch.zeros(num_style_feat))
        self.input = ConstantInput(channels=channels[4], key="input")
        self.conv1 = StyleConv(
            in_channels=channels[4],
            out_channels=channels[4],
            style_dim=num_style_feat,
            separable=False,
            isconcat=isconcat,
        )
        self.layers = nn.ModuleList(
            SynthesisLevel(
                coarse=channels[4 << index],
                fine=channels[8 << index],
                style_dim=num_style_feat,
                isconcat=isconcat,
            )
            for index in range(scales)
        )
        self.to_img = ImageHead(
            in_channels=channels[out_size] * (2 if isconcat else 1), style_dim=num_style_feat
        )
        self.noises = None if isconcat else NoiseBuffers(size_px=out_size)

    def forward(self, z_NF: Tensor, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Return the image of codes in Z, ``(N, 3, out_size, out_size)``, not clipped.

        Args:
            z_NF: Normally distributed.
            truncation: How far from the mean style, 0 to 1; a number, or ``(N, 1)``.
        """
        return self.synthesize(self.to_w_plus(self.styles(z_NF, truncation=truncation)))

    def styles(self, z_NF: Tensor, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Return codes in W, ``(N, num_style_feat)``, truncated towards the mean."""
        mean = self.get_buffer("mean_style")
        return mean + truncation * (self.style_mlp(z_NF) - mean)

    def to_w_plus(self, style_NF: Tensor) -> Tensor:
        """Return W+ codes ``(N, num_latent, F)`` that repeat one code in W."""
        return style_NF[:, None].expand(-1, self.num_latent, -1)

    def synthesize(
        self,
        latents_NLF: Tensor,
        *,
        noise: Noise | None = None,
        hook: FeatureHook = identity_hook,
        double_size: bool = False,
    ) -> Tensor:
        """Return the image of codes in W+, not clipped.

        Args:
            latents_NLF: ``(N, num_latent, F)``: of the 4 pixels, of ``up``, ``conv1`` and
                ``conv2`` of every level, and of the image.
            noise: One map per convolution; the stored ones where None.
            hook: What to do to the features between the two convolutions of a level.
            double_size: Whether the image has twice ``out_size``, as the teacher's.

        Raises:
            ValueError: ``noise`` is None: features replace it, and none are stored.
        """
        maps = self._stored_noise() if noise is None else noise
        # Depthwise convolutions of a CPU are two to ten times faster channels last.
        start = self.input(len(latents_NLF)).contiguous(memory_format=torch.channels_last)
        feat = self.conv1(start, latents_NLF[:, 0], maps[0])
        for index, level in enumerate(self.layers):
            up, first, second = latents_NLF[:, 1 + 3 * index : 4 + 3 * index].unbind(dim=1)
            feat = level.get_submodule("up")(feat, up)
            feat = level.get_submodule("conv1")(feat, first, maps[2 * index + 1])
            feat = hook(index, feat)
            feat = level.get_submodule("conv2")(feat, second, maps[2 * index + 2])
        return self.to_img(feat, latents_NLF[:, -1], double_size=double_size)

    def _stored_noise(self) -> Noise:
        if self.noises is None:
            raise ValueError("this generator takes features as noise: pass them")
        return self.noises()


def widen_for_features(state: Mapping[str, Tensor], widened: MobileStyleGAN) -> dict[str, Tensor]:
    """Return the weights of a plain generator for one that takes features instead of noise.

    Features have zero weight, so at first it generates what the plain one does without noise.

    Args:
        state: State of a generator of the same size with ``isconcat=False``.
        widened: With ``isconcat=True``.

    Raises:
        ValueError: The state is not that of such a generator.
    """
    own, wider = widened.state_dict(), dict[str, Tensor]()
    plain = {name: tensor for name, tensor in state.items() if not name.startswith("noises.")}
    for name, tensor in own.items():
        pretrained = plain.pop(name, None)
        if name.endswith(".strength"):
            wider[name] = torch.ones_like(tensor)
            continue
        if pretrained is None or not _fits(pretrained.shape, tensor.shape):
            raise ValueError(f"not a MobileStyleGAN of this size: {name} is missing or too large")
        full = torch.zeros_like(tensor)
        if name.endswith("modulation.bias"):
            full = torch.ones_like(tensor)
        elif name.endswith("weight_dw"):
            full[..., 1, 1] = 1.0  # an identity; the 1x1 convolution weighs the features
        # The gain of a layer falls with its channels.
        gain = (
            (tensor.shape[1] / pretrained.shape[1]) ** 0.5 if name.endswith("conv.weight") else 1.0
        )
        full[tuple(slice(side) for side in pretrained.shape)] = pretrained * gain
        wider[name] = full
    if plain:
        raise ValueError(f"not a MobileStyleGAN of this size: {min(plain)} is not expected")
    return wider


def _fits(inner: Sequence[int], outer: Sequence[int]) -> bool:
    return len(inner) == len(outer) and all(a <= b for a, b in zip(inner, outer, strict=True))

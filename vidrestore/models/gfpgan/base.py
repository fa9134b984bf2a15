"""What all GFP-GAN variants share (Wang et al. 2021, figure 2): the parts and the forward pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.sft import sft_hook
from vidrestore.models.stylegan2.layers import channels_by_size
from vidrestore.models.stylegan2.synthesis import Noise, identity_hook, scale_count


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpganLayers:
    """What a variant builds its parts of; all but ``linear`` and ``prior`` take channels."""

    conv: Callable[..., nn.Module]
    """First and last convolution of the encoder."""
    down: Callable[..., nn.Module]
    """Halves the size."""
    up: Callable[..., nn.Module]
    """Doubles the size."""
    to_rgb: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    condition: Callable[..., nn.Module]
    """Gives a scale or a shift; ``bias_init`` is 1 for a scale and 0 for a shift."""
    prior: Callable[..., GenerativePrior]
    channel_multiplier: float
    """Of the released network."""


class GfpganBase(nn.Module):
    """The U-Net gives codes and conditions, with which the prior generates the image.

    Args:
        out_size: Side of crops and results, a power of two.
        num_style_feat: Features of a style code.
        channel_multiplier: Factor of the channels at 64 pixels and above; as released where None.
        num_mlp: Layers of the prior's mapping.
        input_is_latent: Whether codes are in W+ (as released), or in Z and mapped first.
        different_w: Whether every style block gets its own code.
        narrow: Factor of all channels.
        sft_half: Whether half the channels pass the transform unchanged.
        prior: The generator, of ``out_size`` and ``num_style_feat`` and with the channels of
            ``channel_multiplier`` and ``narrow``; the variant's StyleGAN2 where None.
        is_modulated: Whether the U-Net's features change the prior's; without, codes alone do.
    """

    layers: ClassVar[GfpganLayers]

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float | None = None,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        narrow: float = 1,
        sft_half: bool = True,
        prior: GenerativePrior | None = None,
        is_modulated: bool = True,
    ) -> None:
        super().__init__()
        layers = self.layers
        multiplier = channel_multiplier or layers.channel_multiplier
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=multiplier, narrow=narrow * 0.5)
        self.out_size = out_size
        self.input_is_latent = input_is_latent
        self.different_w = different_w
        self.num_style_feat = num_style_feat
        self.sft_half = sft_half

        self.conv_body_first = layers.conv(
            in_channels=3, out_channels=channels[out_size], kernel_size=1
        )
        ups = [8 << index for index in range(scales)]
        self.conv_body_down = nn.ModuleList(
            layers.down(in_channels=channels[size], out_channels=channels[size // 2])
            for size in reversed(ups)
        )
        self.final_conv = layers.conv(
            in_channels=channels[4], out_channels=channels[4], kernel_size=3
        )
        self.conv_body_up = nn.ModuleList(
            layers.up(in_channels=channels[size // 2], out_channels=channels[size]) for size in ups
        )
        self.toRGB = nn.ModuleList(layers.to_rgb(in_channels=channels[size]) for size in ups)
        styles = 2 * scales + 2 if prior is None else prior.num_latent
        self.final_linear = layers.linear(
            in_features=channels[4] * 16,
            out_features=(styles if different_w else 1) * num_style_feat,
        )
        self.stylegan_decoder = prior or layers.prior(
            out_size=out_size,
            num_style_feat=num_style_feat,
            num_mlp=num_mlp,
            channel_multiplier=multiplier,
            narrow=narrow,
        )
        self.condition_scale, self.condition_shift = (
            nn.ModuleList(
                layers.condition(channels[size], split=sft_half, bias_init=bias_init)
                for size in (ups if is_modulated else ())
            )
            for bias_init in (1.0, 0.0)
        )

    def _activated(self, feat_NCHW: Tensor) -> Tensor:
        """Return the result of ``layers.conv``, activated where that has no activation itself."""
        return feat_NCHW

    def forward(
        self, image_NCHW: Tensor, *, noise: Noise | None = None, with_pyramid: bool = False
    ) -> RestorerOutput:
        """Restore ``(N, 3, out_size, out_size)`` RGB crops in [-1, 1].

        Args:
            image_NCHW: In any precision; the weights' is used inside.
            noise: One map per style block; the stored ones where None. Noise is fixed, so
                that a still face stays still.
            with_pyramid: Whether to compute the U-Net's images, which only losses need.

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.out_size)
        dtype = next(self.final_linear.parameters()).dtype
        feat = self._activated(self.conv_body_first(image_NCHW.to(dtype)))
        skips: list[Tensor] = []
        for block in self.conv_body_down:
            feat = block(feat)
            skips.append(feat)
        feat = self._activated(self.final_conv(feat))
        latents = self._to_w_plus(self.final_linear(feat.flatten(1)))
        conditions: list[tuple[Tensor, Tensor]] = []
        pyramid: list[Tensor] = []
        for index, block in enumerate(self.conv_body_up):
            feat = block(add_inplace(feat, skips[-1 - index]))
            if len(self.condition_scale):
                conditions.append(
                    (self.condition_scale[index](feat), self.condition_shift[index](feat))
                )
            if with_pyramid:
                pyramid.append(self.toRGB[index](feat))
        hook = sft_hook(conditions, split=self.sft_half) if conditions else identity_hook
        image = self.stylegan_decoder.synthesize(latents, noise=noise, hook=hook)
        return RestorerOutput(image=image.to(image_NCHW.dtype), pyramid=tuple(pyramid))

    def _to_w_plus(self, codes_NF: Tensor) -> Tensor:
        decoder = self.stylegan_decoder
        codes = codes_NF
        if self.different_w:
            codes = codes_NF.view(codes_NF.shape[0], -1, self.num_style_feat)
        if not self.input_is_latent:
            codes = decoder.style_mlp(codes)
        return codes if self.different_w else decoder.to_w_plus(codes)

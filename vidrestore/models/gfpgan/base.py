"""Forward pass shared by all GFP-GAN variants (Wang et al. 2021, figure 2)."""

from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.sft import sft_hook
from vidrestore.models.stylegan2.synthesis import Noise, identity_hook


class GfpganBase(nn.Module):
    """The U-Net gives codes and conditions, with which the prior generates the image.

    A variant sets the parts below and the activations of the stem and the bottleneck.
    """

    out_size: int
    num_style_feat: int
    input_is_latent: bool
    different_w: bool
    sft_half: bool
    conv_body_first: nn.Module
    conv_body_down: nn.ModuleList
    final_conv: nn.Module
    conv_body_up: nn.ModuleList
    toRGB: nn.ModuleList  # noqa: N815  (published)
    final_linear: nn.Module
    condition_scale: nn.ModuleList
    condition_shift: nn.ModuleList
    stylegan_decoder: GenerativePrior

    def _stem(self, image_NCHW: Tensor) -> Tensor:
        return self.conv_body_first(image_NCHW)

    def _bottleneck(self, feat_NCHW: Tensor) -> Tensor:
        return self.final_conv(feat_NCHW)

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
        feat = self._stem(image_NCHW.to(dtype))
        skips: list[Tensor] = []
        for block in self.conv_body_down:
            feat = block(feat)
            skips.append(feat)
        feat = self._bottleneck(feat)
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

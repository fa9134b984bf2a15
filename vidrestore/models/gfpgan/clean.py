"""GFP-GAN with "clean" layers: the released 1.2, 1.3 and 1.4 (published as GFPGANv1Clean).

The parts and their order are those of ``gfpgan.py`` and of the paper; the layers are plain
convolutions with leaky rectifiers and bilinear resizing, as in ``stylegan2/clean.py``. No
paper describes this variant; the released code is followed.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.base import GfpganBase
from vidrestore.models.stylegan2.clean import CleanGenerator, upsample_2x
from vidrestore.models.stylegan2.layers import SLOPE, channels_by_size
from vidrestore.models.stylegan2.synthesis import scale_count


class CleanResBlock(nn.Module):
    """Residual block that halves or doubles the size by bilinear resizing."""

    def __init__(self, *, in_channels: int, out_channels: int, up: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.up = up

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, 2H, 2W)`` or half the size."""
        feat = F.leaky_relu(self.conv1(feat_NCHW), SLOPE, inplace=True)
        feat = upsample_2x(feat) if self.up else _downsample_2x(feat)
        feat = F.leaky_relu(self.conv2(feat), SLOPE, inplace=True)
        # A 1x1 convolution and resizing commute: the convolution runs at the smaller size.
        skip = (
            upsample_2x(self.skip(feat_NCHW)) if self.up else self.skip(_downsample_2x(feat_NCHW))
        )
        return add_inplace(feat, skip)


def _downsample_2x(feat_NCHW: Tensor) -> Tensor:
    # Bilinear resizing of even sides to a half is the mean of two by two.
    return F.avg_pool2d(feat_NCHW, 2)


class GFPGANClean(GfpganBase):
    """The released network; arguments as those of ``GFPGAN``."""

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 2,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        narrow: float = 1,
        sft_half: bool = True,
        prior: GenerativePrior | None = None,
        is_modulated: bool = True,
    ) -> None:
        super().__init__()
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow * 0.5)
        self.out_size = out_size
        self.input_is_latent = input_is_latent
        self.different_w = different_w
        self.num_style_feat = num_style_feat
        self.sft_half = sft_half

        self.conv_body_first = nn.Conv2d(3, channels[out_size], kernel_size=1)
        downs = [out_size >> index for index in range(scales)]
        self.conv_body_down = nn.ModuleList(
            CleanResBlock(in_channels=channels[size], out_channels=channels[size // 2], up=False)
            for size in downs
        )
        self.final_conv = nn.Conv2d(channels[4], channels[4], kernel_size=3, padding=1)
        ups = [8 << index for index in range(scales)]
        self.conv_body_up = nn.ModuleList(
            CleanResBlock(in_channels=channels[size // 2], out_channels=channels[size], up=True)
            for size in ups
        )
        self.toRGB = nn.ModuleList(nn.Conv2d(channels[size], 3, kernel_size=1) for size in ups)
        styles = 2 * scales + 2 if prior is None else prior.num_latent
        codes = styles if different_w else 1
        self.final_linear = nn.Linear(channels[4] * 16, codes * num_style_feat)
        if prior is None:
            prior = CleanGenerator(
                out_size=out_size,
                num_style_feat=num_style_feat,
                num_mlp=num_mlp,
                channel_multiplier=channel_multiplier,
                narrow=narrow,
            )
        self.stylegan_decoder = prior
        modulated = ups if is_modulated else []
        self.condition_scale = nn.ModuleList(
            _condition(channels[size], split=sft_half) for size in modulated
        )
        self.condition_shift = nn.ModuleList(
            _condition(channels[size], split=sft_half) for size in modulated
        )

    def _stem(self, image_NCHW: Tensor) -> Tensor:
        return F.leaky_relu(self.conv_body_first(image_NCHW), SLOPE, inplace=True)

    def _bottleneck(self, feat_NCHW: Tensor) -> Tensor:
        return F.leaky_relu(self.final_conv(feat_NCHW), SLOPE, inplace=True)


def _condition(channels: int, *, split: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels if split else 2 * channels, kernel_size=3, padding=1),
    )

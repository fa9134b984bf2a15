"""GPEN (Yang et al. 2021): the base of the MMRB network (its section 3.1, equations 1 to 3).

An encoder maps the crop to one code in Z and to features at every scale. The code is mapped to W.
The features replace the noise: they are concatenated to, not added to, the result of every
modulated convolution (equation 3), so later layers have twice the channels. The released code is
followed; names of parameters are those of its checkpoints.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.gpen_generator import GpenGenerator
from vidrestore.models.stylegan2.layers import ConvLayer, EqualLinear, channels_by_size
from vidrestore.models.stylegan2.synthesis import scale_count


class GPEN(nn.Module):
    """Encoder and generator; published as ``FullGenerator``.

    Args:
        size: Side of crops and results, a power of two.
        style_dim: Size of a style code.
        n_mlp: Layers of the mapping.
        channel_multiplier: Factor of the channels at 64 pixels and above.
        narrow: Factor of all channels.
    """

    def __init__(
        self,
        *,
        size: int = 512,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        self.generator = GpenGenerator(
            size=size,
            style_dim=style_dim,
            n_mlp=n_mlp,
            channel_multiplier=channel_multiplier,
            narrow=narrow,
        )
        self.size = size
        self.scales = scale_count(size) + 1
        for index in range(self.scales):
            self.add_module(f"ecd{index}", encoder_stage(index, size, channels))
        self.final_linear = nn.Sequential(
            EqualLinear(in_features=channels[4] * 16, out_features=style_dim, activated=True)
        )

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        """Restore ``(N, 3, size, size)`` RGB crops in [-1, 1].

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.size)
        feat = image_NCHW.to(self.generator.input.get_parameter("input").dtype)
        features: list[Tensor] = []
        for index in range(self.scales):
            feat = self.get_submodule(f"ecd{index}")(feat)
            features.append(feat)
        code = self.final_linear(feat.flatten(1))
        image = self.generator(code, branches(features[::-1]))
        return RestorerOutput(image=image.to(image_NCHW.dtype))


def branches(features: Sequence[Tensor]) -> list[Tensor]:
    """Return one map per style block of features per scale, coarse to fine: 4, 8, 8, 16, 16 ..."""
    return [feat for feat in features for _ in range(2)][1:]


def encoder_stage(index: int, size: int, channels: Mapping[int, int]) -> nn.Sequential:
    """Return convolution ``index`` of the encoder: 0 keeps the size, others halve it."""
    side = size >> index
    if index == 0:
        return nn.Sequential(ConvLayer(in_channels=3, out_channels=channels[side], kernel_size=1))
    return nn.Sequential(
        ConvLayer(
            in_channels=channels[side * 2],
            out_channels=channels[side],
            kernel_size=3,
            downsample=True,
            filter_in_state_dict=True,
        )
    )

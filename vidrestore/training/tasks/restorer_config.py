"""Settings of restorer training, with the published ones as defaults."""

from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.tasks.batches import BatchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Weights of the loss terms; 0 leaves a term out. Defaults are GFP-GAN's released ones."""

    l1: float = field(default=0.1, metadata={"alias": "pixels"})
    log_l1: float = field(default=0.0, metadata={"alias": "log_pixels"})
    """Of ``log_l1_loss``, which weighs every face by its possible gain."""
    ssim: float = 0.0
    pyramid: float = 1.0
    pyramid_until: int = 50_000
    """Step at which the pyramid loss ends."""
    perceptual: float = 1.0
    style: float = 50.0
    adversarial: float = 0.1
    texture_adversarial: float = field(default=0.0, metadata={"alias": "texture"})
    """Of the hinge loss of ``TextureDiscriminator``, on windows of ``texture_px``."""
    component: float = 1.0
    component_style: float = 200.0
    identity: float = 10.0
    identity_distance: Literal["l1", "cosine"] = "l1"

    def __post_init__(self) -> None:
        if any(isinstance(weight, float | int) and weight < 0 for weight in astuple(self)):
            raise ConfigError("loss_weights must be >= 0")
        if not any((self.l1, self.log_l1, self.perceptual)):
            raise ConfigError("one of l1, log_l1 and perceptual must be > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedConfig:
    """Weights that networks start from: exported ones, or checkpoints of earlier runs."""

    network: Path | None = None
    """The restorer."""
    prior: Path | None = None
    """The generative prior of GFP-GAN, a generator of its size; of MMRB, where ``prior`` is
    ``mobile``. Without a file, ``mobile`` takes the weights in the package."""
    gpen: Path | None = None
    """GPEN, for MMRB's encoder, mapping and generator (its section 4.2)."""
    discriminator: Path | None = None
    """The global discriminator, ours or GPEN's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerConfig:
    """One restorer, its discriminators, its data."""

    network: Literal["gfpgan", "gfpgan-clean", "mmrb", "lite", "prior"]
    prior: Literal["stylegan2", "mobile"] = "stylegan2"
    """The generator inside GFP-GAN and MMRB: the papers', or MobileStyleGAN."""
    data: DatasetConfig
    batch: BatchConfig
    generator: AdamConfig
    discriminator: AdamConfig | None = None
    texture_discriminator: AdamConfig | None = field(default=None, metadata={"alias": "texture"})
    components: AdamConfig | None = None
    loss_weights: LossWeights = field(default_factory=LossWeights, metadata={"alias": "weights"})
    pretrained: PretrainedConfig = field(
        default_factory=PretrainedConfig, metadata={"alias": "start"}
    )
    crop_px: int | None = None
    """Side of a random window of each face that the network sees; None takes the whole face. For
    identity and components the target surrounds it. Only ``lite`` takes any size."""
    texture_px: int = 256
    """Side of the windows that the texture discriminator sees."""
    real_resolution_ratio: float = field(default=1.0, metadata={"alias": "real_detail"})
    """Resolution ratio from which faces are shown to discriminators as real."""
    channel_multiplier: float = 1.0
    narrow: float = 1.0
    style_dim: int = field(default=512, metadata={"alias": "style_features"})
    mapping_layers: int = 8
    r1_weight: float = 10.0
    r1_interval: int = field(default=16, metadata={"alias": "r1_every"})
    frozen_layers: int = 0
    """Number of frozen layers of the global discriminator, from the image on (FreezeD; MMRB: 5)."""
    feature_weights: Path | None = field(default=None, metadata={"alias": "features"})
    """VGG-19's weights; without them a smaller network replaces it, as the log says."""
    identity_weights: Path | None = field(default=None, metadata={"alias": "identity"})
    """Weights of ArcFace or MobileFaceNet."""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        weights = self.loss_weights
        ratio = self.real_resolution_ratio
        if not 0 < ratio <= 1:
            raise ConfigError(f"real_resolution_ratio must be in (0, 1], got {ratio}")
        sees_faces = weights.adversarial or weights.component or weights.component_style
        if sees_faces and self.data.min_resolution_ratio < ratio:
            raise ConfigError(
                "these discriminators need full-resolution faces: set data.min_resolution_ratio "
                f"to real_resolution_ratio, {ratio}"
            )
        if weights.adversarial and self.discriminator is None:
            raise ConfigError("loss_weights.adversarial needs a table [restorer.discriminator]")
        if weights.texture_adversarial and self.texture_discriminator is None:
            raise ConfigError(
                "loss_weights.texture_adversarial needs a table [restorer.texture_discriminator]"
            )
        if (weights.component or weights.component_style) and self.components is None:
            raise ConfigError(
                "loss_weights.component and component_style need a table [restorer.components]"
            )
        if weights.identity and self.identity_weights is None:
            raise ConfigError(
                "loss_weights.identity needs a recognition checkpoint: set identity_weights"
            )
        if weights.pyramid and self.network == "lite":
            raise ConfigError("lite has no pyramid: set loss_weights.pyramid = 0")
        self._check_crops()
        self._check_prior()

    def _check_prior(self) -> None:
        is_mobile, pretrained = self.prior == "mobile", self.pretrained
        if is_mobile and self.network == "lite":
            raise ConfigError("lite has no prior: leave prior out")
        if self.network == "prior" and not is_mobile:
            raise ConfigError(
                'the prior of network "prior" is MobileStyleGAN: set prior = "mobile"'
            )
        if pretrained.prior is not None and self.network != "gfpgan" and not is_mobile:
            raise ConfigError("pretrained.prior applies to gfpgan and MobileStyleGAN only")
        if pretrained.gpen is not None and (self.network != "mmrb" or is_mobile):
            raise ConfigError("pretrained.gpen applies to mmrb with its StyleGAN2 only")

    def _check_crops(self) -> None:
        size_px, texture_px = self.data.size_px, self.texture_px
        crop_px = size_px if self.crop_px is None else self.crop_px
        if self.crop_px is not None and (self.network != "lite" or crop_px % 32 or crop_px < 32):
            raise ConfigError("crop_px applies to lite only, and must be a multiple of 32")
        if crop_px > size_px:
            raise ConfigError(f"crop_px is {crop_px}, but faces are {size_px} px")
        if self.loss_weights.texture_adversarial and not (
            texture_px % 8 == 0 and 8 <= texture_px <= crop_px
        ):
            raise ConfigError(f"texture_px must be a multiple of 8 up to {crop_px}")

"""Settings of restorer training, with the published ones as defaults."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import SampleConfig
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.tasks.batches import BatchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Of every term; 0 leaves it out. Defaults are GFP-GAN's released configuration."""

    pixels: float = 0.1
    log_pixels: float = 0.0
    """Of ``log_l1_loss``, which weighs every face by what it could gain."""
    ssim: float = 0.0
    texture_energy: float = 0.0
    """Of ``texture_energy_loss``."""
    pyramid: float = 1.0
    pyramid_until: int = 50_000
    """Step from which the pyramid is left to itself."""
    perceptual: float = 1.0
    style: float = 50.0
    adversarial: float = 0.1
    texture: float = 0.0
    """Of the hinge loss by ``TextureDiscriminator``, on squares of ``texture_px``."""
    component: float = 1.0
    component_style: float = 200.0
    identity: float = 10.0
    identity_distance: Literal["l1", "cosine"] = "l1"

    def __post_init__(self) -> None:
        terms = (self.pixels, self.log_pixels, self.pyramid, self.perceptual, self.style)
        others = (self.ssim, self.texture_energy, self.texture, self.identity)
        adversaries = (self.adversarial, self.component, self.component_style)
        if min(*terms, *others, *adversaries) < 0:
            raise ConfigError("weights of losses must be >= 0")
        if not any((self.pixels, self.log_pixels, self.perceptual)):
            raise ConfigError("one of pixels, log_pixels and perceptual must be > 0")

    @property
    def has_adversary(self) -> bool:
        """Whether any discriminator is trained."""
        return bool(self.adversarial or self.texture or self.component or self.component_style)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConfig:
    """What the networks begin with: exported weights, or checkpoints of earlier runs."""

    network: Path | None = None
    """The whole restorer."""
    prior: Path | None = None
    """The generative prior of GFP-GAN, a generator of its size; of MMRB, where ``prior`` is
    ``mobile``. For ``mobile`` the package's own weights are taken where none are named."""
    gpen: Path | None = None
    """MMRB's encoder, mapping and generator (its section 4.2)."""
    discriminator: Path | None = None
    """The global discriminator; GPEN's names of tensors are understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerConfig:
    """One restorer, its adversaries, its data."""

    network: Literal["gfpgan", "gfpgan-clean", "mmrb", "lite", "prior"]
    prior: Literal["stylegan2", "mobile"] = "stylegan2"
    """The generator inside GFP-GAN and MMRB: the papers', or MobileStyleGAN."""
    data: SampleConfig
    batch: BatchConfig
    generator: AdamConfig
    discriminator: AdamConfig | None = None
    texture: AdamConfig | None = None
    components: AdamConfig | None = None
    weights: LossWeights = field(default_factory=LossWeights)
    start: StartConfig = field(default_factory=StartConfig)
    crop_px: int | None = None
    """Side of the square of each face that the network sees in a step; None is all of it. Around it
    identity and components see the original. For networks that take any size: ``lite``."""
    texture_px: int = 256
    """Side of the squares that the texture's discriminator sees."""
    real_detail: float = 1.0
    """Detail from which a photograph is sharp enough to be called real to a discriminator."""
    channel_multiplier: float = 1.0
    narrow: float = 1.0
    style_features: int = 512
    mapping_layers: int = 8
    r1_weight: float = 10.0
    r1_every: int = 16
    frozen_layers: int = 0
    """Of the global discriminator, from the picture on (FreezeD; MMRB: 5)."""
    features: Path | None = None
    """VGG-19's weights; without them an offline network takes its place, as the log says."""
    identity: Path | None = None
    """ArcFace's or MobileFaceNet's weights, told from their tensors."""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        weights = self.weights
        if not 0 < self.real_detail <= 1:
            raise ConfigError(f"real_detail must be in (0, 1], got {self.real_detail}")
        whole = weights.adversarial or weights.component or weights.component_style
        if whole and self.data.least_detail < self.real_detail:
            raise ConfigError(
                "these discriminators must see real detail alone: set data.least_detail to "
                f"real_detail, {self.real_detail}"
            )
        if weights.adversarial and self.discriminator is None:
            raise ConfigError("weights.adversarial needs a table [restorer.discriminator]")
        if weights.texture and self.texture is None:
            raise ConfigError("weights.texture needs a table [restorer.texture]")
        if (weights.component or weights.component_style) and self.components is None:
            raise ConfigError("weights of components need a table [restorer.components]")
        if weights.identity and self.identity is None:
            raise ConfigError("weights.identity needs the file of an identity network: identity")
        if weights.pyramid and self.network == "lite":
            raise ConfigError("lite has no pyramid: set weights.pyramid = 0")
        self._check_crops()
        if self.prior == "mobile" and self.network == "lite":
            raise ConfigError("lite has no prior: leave prior out")
        if self.network == "prior" and self.prior != "mobile":
            raise ConfigError(
                'the prior of network "prior" is MobileStyleGAN: set prior = "mobile"'
            )
        if self.start.prior is not None and self.network != "gfpgan" and self.prior != "mobile":
            raise ConfigError("start.prior is for gfpgan")
        if self.start.gpen is not None and (self.network != "mmrb" or self.prior == "mobile"):
            raise ConfigError("start.gpen is for mmrb")

    def _check_crops(self) -> None:
        seen_px = self.data.size_px if self.crop_px is None else self.crop_px
        if self.crop_px is not None and (
            self.network != "lite" or self.crop_px % 32 or not self.crop_px >= 32
        ):
            raise ConfigError("crop_px is for lite, and a multiple of 32")
        if seen_px > self.data.size_px:
            raise ConfigError(f"crop_px is {seen_px}, faces are {self.data.size_px}")
        if self.weights.texture and (self.texture_px % 8 or not 8 <= self.texture_px <= seen_px):
            raise ConfigError(f"texture_px must be a multiple of 8 up to {seen_px}")

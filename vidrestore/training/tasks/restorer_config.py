"""Settings of restorer training; defaults are the published ones."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.clip_pairs import ClipsConfig, check_clips
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.engine.optimizers import AdamConfig, ParamGroupConfig
from vidrestore.training.losses.perceptual import LAYER_WEIGHTS, Norm
from vidrestore.training.tasks.batches import BatchConfig
from vidrestore.training.tasks.generated_faces import GeneratedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Weights of the loss terms; 0 leaves a term out. Defaults are GFP-GAN's released ones."""

    l1: float = field(default=0.1, metadata={"alias": "pixels"})
    log_l1: float = field(default=0.0, metadata={"alias": "log_pixels"})
    """Weight of ``log_l1_loss``, which weights every face by its possible gain."""
    ssim: float = 0.0
    pyramid: float = 1.0
    pyramid_until: int = 50_000
    """Step at which the pyramid loss ends."""
    perceptual: float = 1.0
    style: float = 50.0
    adversarial: float = 0.1
    texture_adversarial: float = field(default=0.0, metadata={"alias": "texture"})
    """Weight of the hinge loss of ``TextureDiscriminator``, on windows of ``texture_px``."""
    component: float = 1.0
    component_style: float = 200.0
    component_matching: float = 0.0
    """Weight of feature matching in the component discriminators (Wang et al. 2018), which GFP-GAN
    compares its style loss with (figure 6)."""
    identity: float = 10.0
    temporal: float = 0.0
    """Of the difference of a frame from the warped one before it (Lai et al. 2018), measured on
    pairs of ``clips``."""
    styles: float = 0.0
    """Of the mean squared error of styles, of generated faces alone (our own)."""
    identity_distance: Literal["l1", "cosine"] = "l1"
    perceptual_norm: Norm = "l1"
    """Norm of perceptual and style loss."""
    perceptual_layers: tuple[float, ...] = LAYER_WEIGHTS
    """Weights of VGG-19's five stages."""

    def __post_init__(self) -> None:
        if any(weight < 0 for weight in self.by_name().values()):
            raise ConfigError("loss_weights must be >= 0")
        if len(self.perceptual_layers) != len(LAYER_WEIGHTS) or min(self.perceptual_layers) < 0:
            raise ConfigError("perceptual_layers must be five weights >= 0, one for each stage")
        if not any((self.l1, self.log_l1, self.perceptual, self.styles)):
            raise ConfigError("one of l1, log_l1, perceptual and styles must be > 0")

    def by_name(self) -> dict[str, float]:
        """Return every number by its name: the weights of all terms, and ``pyramid_until``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, float | int)}

    @property
    def looks_at_output(self) -> bool:
        """Whether a term needs the drawn image, not the encoder's pyramid and styles alone."""
        without = {"pyramid", "pyramid_until", "styles"}
        return any(weight for name, weight in self.by_name().items() if name not in without)

    @property
    def uses_component_discriminators(self) -> bool:
        """Whether a term needs the discriminators of eyes and mouth."""
        return bool(self.component or self.component_style or self.component_matching)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedConfig:
    """Pretrained weights: exported files, or checkpoints of earlier runs."""

    network: Path | None = None
    """The restorer."""
    prior: Path | None = None
    """The generative prior, a generator of this size. MMRB takes a plain StyleGAN2, or GPEN's,
    which has inputs for features. Without a file, ``mobile`` uses the bundled weights."""
    gpen: Path | None = None
    """A trained GPEN, for MMRB's encoder, mapping and generator; the paper starts from the prior
    (section 4.2)."""
    discriminator: Path | None = None
    """The global discriminator, from this program or from GPEN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerConfig:
    """A restorer, its discriminators, and its data."""

    network: Literal["gfpgan", "gfpgan-clean", "mmrb", "lite", "prior"]
    prior: Literal["stylegan2", "mobile"] = "stylegan2"
    """The generator inside GFP-GAN and MMRB: StyleGAN2 as in the papers, or MobileStyleGAN."""
    prior_px: int | None = None
    """Side of the image that the generator of ``prior`` draws; None is ``data.size_px``."""
    generated: GeneratedConfig | None = None
    """Faces drawn by the fixed prior of ``prior`` while it trains, whose styles are known."""
    data: DatasetConfig
    batch: BatchConfig
    clips: ClipsConfig | None = None
    """Pairs of neighboring frames, for ``loss_weights.temporal``."""
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
    identity and components the target surrounds it. Only ``lite`` accepts any size."""
    texture_px: int = 256
    """Side of the windows that the texture discriminator sees."""
    real_resolution_ratio: float = field(default=1.0, metadata={"alias": "real_detail"})
    """Minimum resolution ratio of faces that discriminators see as real."""
    modulation: Literal["cs-sft", "sft", "none"] = "cs-sft"
    """Which channels of the prior GFP-GAN's features modulate: half, all, or none (its table 4)."""
    mmrb_blocks: bool = True
    """Whether MMRB's encoder has the blocks that give it its name (its table 5)."""
    prior_lr_scale: float | None = None
    """Learning rate of the prior divided by the generator's; 0 freezes it. None is 0 for GFP-GAN,
    as released (``fix_decoder: true``), and 0.1 for MMRB (section 4.2: 2e-4 of 2e-3)."""
    draw_noise: bool = True
    """Whether GFP-GAN's prior gets new noise in every step, as released, or the stored noise."""
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
        sees_faces = weights.adversarial or weights.uses_component_discriminators
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
        if weights.uses_component_discriminators and self.components is None:
            raise ConfigError(
                "loss_weights.component, component_style and component_matching need a table "
                "[restorer.components]"
            )
        if weights.identity and self.identity_weights is None:
            raise ConfigError(
                "loss_weights.identity needs a recognition checkpoint: set identity_weights"
            )
        if weights.pyramid and self.network == "lite":
            raise ConfigError("lite has no pyramid: set loss_weights.pyramid = 0")
        check_clips(self.clips, weights.temporal, where="loss_weights.temporal", table="restorer")
        self._check_crops()
        self._check_prior()

    @property
    def drawn_px(self) -> int:
        """Side of the restored faces."""
        return self.data.size_px if self.prior_px is None else self.prior_px

    def _check_generated(self) -> None:
        weights, is_prior = self.loss_weights, self.network == "prior"
        if (self.generated is not None or self.prior_px is not None) and not is_prior:
            raise ConfigError('generated and prior_px apply to network "prior" only')
        if weights.styles and self.generated is None:
            raise ConfigError("loss_weights.styles needs a table [restorer.generated]")
        if not weights.looks_at_output and not is_prior:
            raise ConfigError("one of l1, log_l1 and perceptual must be > 0")
        if self.drawn_px != self.data.size_px and (
            weights.adversarial
            or weights.texture_adversarial
            or weights.uses_component_discriminators
        ):
            raise ConfigError("discriminators need prior_px to be data.size_px")

    def _check_prior(self) -> None:
        self._check_generated()
        is_mobile, pretrained = self.prior == "mobile", self.pretrained
        if is_mobile and self.network == "lite":
            raise ConfigError("lite has no prior: remove the key prior")
        if self.network == "prior" and not is_mobile:
            raise ConfigError(
                'the prior of network "prior" is MobileStyleGAN: set prior = "mobile"'
            )
        if pretrained.prior is not None and self.network == "gfpgan-clean" and not is_mobile:
            raise ConfigError("pretrained.prior does not apply to gfpgan-clean with StyleGAN2")
        if pretrained.gpen is not None and (self.network != "mmrb" or is_mobile):
            raise ConfigError("pretrained.gpen applies to mmrb with its StyleGAN2 only")
        if self.modulation != "cs-sft" and self.network not in ("gfpgan", "gfpgan-clean"):
            raise ConfigError("modulation applies to gfpgan and gfpgan-clean only")
        if not self.mmrb_blocks and self.network != "mmrb":
            raise ConfigError("mmrb_blocks applies to mmrb only")
        scale = self.prior_lr_scale
        if scale is not None and (scale < 0 or self.network == "lite"):
            raise ConfigError("prior_lr_scale must be >= 0, and does not apply to lite")
        is_given = pretrained.prior is not None or pretrained.network is not None or is_mobile
        is_frozen = self.generator_adam().lr_scale_of("stylegan_decoder.constant") == 0
        if self.network in ("gfpgan", "gfpgan-clean") and not is_given and is_frozen:
            raise ConfigError(
                "the prior is frozen, but has no pretrained weights: set pretrained.prior, or "
                "prior_lr_scale = 1.0 to train it"
            )

    def resolved_prior_lr_scale(self) -> float:
        """Return the learning rate of the prior divided by that of the rest of the generator."""
        if self.prior_lr_scale is not None:
            return self.prior_lr_scale
        return 0.1 if self.network == "mmrb" else 0.0

    def generator_adam(self) -> AdamConfig:
        """Return ``generator`` with the parameter groups of the prior.

        The branches that bring features into MMRB's prior learn at the full rate (section 4.2).
        Groups in the config that match parts of the prior take precedence.
        """
        prefix = {"lite": None, "mmrb": "generator."}.get(self.network, "stylegan_decoder.")
        groups = self.generator.param_groups
        if prefix is None or any(group.pattern.startswith(prefix) for group in groups):
            return self.generator
        branches = {"mobile": "generator.*strength", "stylegan2": "generator.*noise.weight"}
        added = [ParamGroupConfig(pattern=f"{prefix}*", lr_scale=self.resolved_prior_lr_scale())]
        if self.network == "mmrb":
            added.insert(0, ParamGroupConfig(pattern=branches[self.prior], lr_scale=1.0))
        return replace(self.generator, param_groups=(*groups, *added))

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

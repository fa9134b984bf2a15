"""Settings of training on one device: faces, degradations, and a sequence of stages."""

from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.degradations.recipes.table import RecipeConfig
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.validation import ValidationConfig
from vidrestore.weights.model_options import DETAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWeights:
    """Weights of the loss terms (see ``losses``); 0 leaves a term out."""

    log_l1: float = field(default=0.0, metadata={"alias": "log_pixels"})
    """``log_l1_loss`` at the resolution of the samples."""
    ssim: float = 0.0
    identity: float = 0.0
    tones: float = 0.0
    """L1 error of means over 8 x 8 pixels, which keeps color and brightness."""
    truth: float = 0.0
    """L1 error to the target, for samples that do not learn from the teacher."""
    components: float = 0.0
    """Weight added to eyes and mouth in ``truth`` and ``teacher``; half of it in ``tones``."""
    teacher: float = 0.0
    """L1 error to the teacher, in detail finer than ``tones``."""
    gradients: float = 0.0
    """L1 error of the gradients of that detail, relative to ``teacher``."""
    features: float = 0.0
    """Squared differences of unit features."""
    style: float = 0.0
    """L1 difference of the features' Gram matrices."""
    adversary: float = 0.0
    matching: float = 0.0
    """L1 difference of the discriminator's features from those of the teacher, or from those of the
    target without a teacher."""
    phases: float = 0.0
    """``phase_loss``, which prevents a grid with the network's period."""
    consistency: float = 0.0
    """L1 difference of two views of a degraded face."""
    pyramid: float = 0.0
    """L1 errors of the images of the U-Net in ``prior``, at all their sizes."""
    styles: float = 0.0
    """Squared error in W+ of the styles of generated faces, for ``prior``."""

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise ConfigError("loss_weights must be >= 0")
        if not any((self.log_l1, self.truth, self.teacher, self.pyramid, self.styles)):
            raise ConfigError(
                "one of log_l1, truth and teacher must be > 0, or pyramid or styles of prior"
            )
        if self.matching and not self.adversary:
            raise ConfigError("loss_weights.matching needs loss_weights.adversary > 0")

    @property
    def looks_at_output(self) -> bool:
        """Whether a term needs the restored image, not the pyramid and the styles alone."""
        weights = asdict(self)
        return any(weights[name] for name in weights.keys() - {"pyramid", "styles"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of a run; it starts with the averaged weights of the previous stage."""

    name: str
    share: float = 1.0
    """Part of the run's minutes, relative to other stages."""
    steps: int | None = None
    """Number of steps; None trains for a share of the minutes."""
    side_px: int
    """Side of the faces; lengths in recipes are in pixels of this size."""
    batch: int
    cached: bool = False
    """Read the faces from ``teacher.cache`` even if no loss needs a teacher."""
    crop_px: int = 0
    """Side of the windows of cached faces that steps train on; 0 trains on whole faces."""
    whole_every: int = 4
    """Interval of steps that train on whole faces, half as many, if ``crop_px`` is set. Only these
    steps have the term ``identity``."""
    generator: AdamConfig
    adversary: AdamConfig | None = None
    loss_weights: StageWeights = field(metadata={"alias": "weights"})
    ema_decay: float = 0.998
    consistency_ratio: float = field(default=0.25, metadata={"alias": "consistency_share"})
    """Part of a batch with a second view, if ``loss_weights.consistency`` is above 0."""
    consistency_shift_px: float = 0.5
    """Maximum shift of either view along each axis."""
    codec_ratio: float = field(default=0.0, metadata={"alias": "codec_share"})
    """Part of a batch that is degraded on the CPU, with real codecs."""
    codec_repeat: int = 1
    """Number of steps that use the same codec samples."""
    generated_ratio: float = 0.0
    """Part of a batch that the packaged generator draws on the device, for ``prior``."""
    truncation: tuple[float, float] = (0.5, 1.0)
    """Range of the distance of generated faces from the mean style, 0 to 1."""
    window_px: int = 256
    """Side of the window that the feature network and the discriminator receive."""
    adversary_start_step: int = field(default=0, metadata={"alias": "adversary_from"})
    """Step at which the adversarial loss starts; the discriminator is trained from step 0."""
    real_resolution_ratio: float = field(default=0.98, metadata={"alias": "real_detail"})
    """Minimum resolution ratio of the discriminator's real faces."""
    keeps: Literal["", "fidelity", "detail"] = ""
    """The end that the stage's weights become; "" for none."""

    def __post_init__(self) -> None:
        if self.share <= 0 or self.batch < 1 or (self.steps is not None and self.steps < 1):
            raise ConfigError(f"{self.name}: share must be > 0, batch and steps >= 1")
        if self.side_px % 32 or self.side_px < 64:
            raise ConfigError(f"{self.name}: side_px must be a multiple of 32, at least 64")
        if self.loss_weights.adversary and self.adversary is None:
            raise ConfigError(f"{self.name}: loss_weights.adversary needs a table [adversary]")
        if self.window_px % 8 or self.window_px < 32:
            raise ConfigError(f"{self.name}: window_px must be a multiple of 8, at least 32")
        if not 0 <= self.codec_ratio < 1 or self.codec_repeat < 1:
            raise ConfigError(f"{self.name}: codec_ratio must be in [0, 1), codec_repeat >= 1")
        if self.generated_ratio < 0 or self.codec_ratio + self.generated_ratio > 1:
            raise ConfigError(
                f"{self.name}: generated_ratio must be >= 0, with codec_ratio at most 1"
            )
        if not 0 <= self.truncation[0] <= self.truncation[1] <= 1:
            raise ConfigError(f"{self.name}: truncation must be two rising numbers from 0 to 1")
        if self.crop_px % 32 or not 0 <= self.crop_px <= self.side_px or self.whole_every < 1:
            raise ConfigError(
                f"{self.name}: crop_px must be a multiple of 32 up to side_px, and whole_every >= 1"
            )
        if not 0 < self.consistency_ratio <= 1:
            raise ConfigError(f"{self.name}: consistency_ratio must be in (0, 1]")

    @property
    def codec_count(self) -> int:
        """Number of samples of a batch that are degraded on the CPU."""
        return round(self.codec_ratio * self.batch)

    @property
    def generated_count(self) -> int:
        """Number of samples of a batch that the generator draws."""
        return min(round(self.generated_ratio * self.batch), self.batch - self.codec_count)

    @property
    def paired_count(self) -> int:
        """Number of samples of a batch with a second view."""
        if not self.loss_weights.consistency:
            return 0
        device_count = self.batch - self.codec_count
        return min(device_count, max(1, round(self.consistency_ratio * self.batch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """The teacher: Real-ESRGAN's x4plus, applied to the output of the fidelity end."""

    cache: Path | None = None
    """Folder of a ``TeacherCache``; None runs the teacher in every step, on a GPU."""
    recipes: tuple[RecipeConfig, ...] = ()
    """Recipes of the samples of a cache; by default those of the codec samples."""
    good_psnr_db: float = field(default=31.0, metadata={"alias": "good_from_db"})
    """PSNR of the fidelity end from which a sample learns from the target instead."""
    sharpen: float = 0.0
    """Gain of the teacher's finest detail: 0 leaves the teacher's images unchanged."""
    sharpen_target: float = 0.0
    """The same gain for targets, which teach good samples that are not clean."""
    in_memory: bool = True
    """Keep the cache on the device; False reads it from the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDataConfig:
    """The faces and their degradations."""

    faces: DatasetConfig
    """Faces at the largest size; its ``recipes`` are those of the codec samples."""
    recipes: tuple[RecipeConfig, ...]
    """Recipes that run on the device, from ``DEVICE_RECIPES``."""
    aged_probability: float = field(default=0.05, metadata={"alias": "aged_share"})
    """Probability of the tones of old film: faded, tinted, gray."""
    rows: int = 16_384
    """Number of drawn degradations in the table."""
    held_out: int = 8
    """Number of faces that are not trained on, for the sheet."""
    num_workers: int = field(default=2, metadata={"alias": "workers"})
    """Processes that read faces and make codec samples."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.held_out < 1 or self.num_workers < 0:
            raise ConfigError("rows and held_out must be >= 1 and num_workers >= 0")
        if not 0 <= self.aged_probability <= 1:
            raise ConfigError(f"aged_probability must be in [0, 1], got {self.aged_probability}")
        faces = self.faces
        if faces.color_jitter is not None or not (faces.vary_exposure and faces.mirror):
            raise ConfigError(
                "training on one device always varies exposure and mirrors faces, and has no color "
                "jitter: leave vary_exposure, mirror and color_jitter out of data.faces"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRunConfig:
    """A run on one device: its data, its teacher, its stages."""

    network: Literal["lite", "prior"] = "lite"
    """The restorer that is trained."""
    minutes: float = 10.0
    """Duration of the run, from reading the faces to writing the weights."""
    seed: int = 0
    pretrained: str = field(default="embedded", metadata={"alias": "start"})
    """``embedded`` (the weights in the package), ``compact`` (see ``state_from_compact``),
    ``untrained``, or a file of weights. ``prior`` starts from a file, or by ``embedded`` from an
    untrained encoder around the packaged generator."""
    precision: str = "auto"
    """Precision of forward passes: ``fp32``, ``bf16`` or ``auto``; weights are float32."""
    compile: bool = False
    """Compile the restorer, which takes a minute at the start of every stage."""
    max_grad_norm: float = field(default=1.0, metadata={"alias": "clip_norm"})
    """Gradients of a network with a larger norm are scaled down to it."""
    log_every: int = 50
    """Steps between lines of the log. The host waits for the device only to write one."""
    save_minutes: float = 2.0
    """Minutes between checkpoints."""
    default_detail: float = 0.5
    """Position between the two ends of the written weights at ``--detail`` 0.5."""
    identity_weights: Path | None = field(default=None, metadata={"alias": "identity"})
    """Weights of ArcFace or MobileFaceNet."""
    feature_weights: Path | None = field(default=None, metadata={"alias": "features"})
    """Weights of VGG-19; None uses MobileNetV2 instead."""
    data: DeviceDataConfig
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    stages: tuple[StageConfig, ...]
    validation: ValidationConfig | None = None
    """Validation at the end of every stage with ``keeps``."""

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.save_minutes <= 0 or self.max_grad_norm <= 0:
            raise ConfigError("minutes, save_minutes and max_grad_norm must be > 0")
        if self.precision == "fp16":
            raise ConfigError("precision fp16: gradients underflow; use bf16")
        if self.log_every < 1 or not self.stages:
            raise ConfigError("log_every must be >= 1, and there must be a stage")
        DETAIL.check(self.default_detail, name="default detail")
        for index, stage in enumerate(self.stages):
            self._check(stage, earlier=self.stages[:index])
        ends = [stage.keeps for stage in self.stages if stage.keeps]
        if len(set(ends)) != len(ends):
            raise ConfigError("two stages have the same keeps; each end needs its own stage")
        if self.network == "prior":
            sides_px = {stage.side_px for stage in self.stages}
            if len(ends) > 1 or len(sides_px) > 1:
                raise ConfigError("prior has one end and one size: one keeps, one side_px")

    def reads_cache(self, stage: StageConfig) -> bool:
        """Return whether ``stage`` reads its faces from ``teacher.cache``."""
        return self.teacher.cache is not None and (stage.cached or stage.loss_weights.teacher > 0)

    def _check(self, stage: StageConfig, *, earlier: tuple[StageConfig, ...]) -> None:
        size_px = self.data.faces.size_px
        if size_px % stage.side_px:
            raise ConfigError(f"{stage.name}: side_px must divide faces.size_px, {size_px}")
        if stage.loss_weights.identity and self.identity_weights is None:
            raise ConfigError(
                f"{stage.name}: loss_weights.identity needs a recognition checkpoint: set "
                "identity_weights"
            )
        weights, is_prior = stage.loss_weights, self.network == "prior"
        if not is_prior and (weights.pyramid or weights.styles or stage.generated_ratio):
            raise ConfigError(
                f'{stage.name}: pyramid, styles and generated_ratio need network = "prior"'
            )
        if is_prior and (weights.teacher or stage.cached):
            raise ConfigError(
                f"{stage.name}: prior has no teacher: set teacher to 0, cached to false"
            )
        if weights.styles and not stage.generated_count:
            raise ConfigError(f"{stage.name}: loss_weights.styles needs generated_ratio > 0")
        if stage.cached and self.teacher.cache is None:
            raise ConfigError(f"{stage.name}: cached needs teacher.cache")
        if self.reads_cache(stage) and stage.codec_ratio:
            raise ConfigError(
                f"{stage.name}: the teacher cache has codec samples already: set codec_ratio to 0"
            )
        if stage.crop_px and not self.reads_cache(stage):
            raise ConfigError(f"{stage.name}: crop_px needs faces from teacher.cache")
        has_fidelity = self.pretrained != "untrained" or any(
            stage.keeps == "fidelity" for stage in earlier
        )
        if stage.loss_weights.teacher and self.teacher.cache is None and not has_fidelity:
            raise ConfigError(
                f"{stage.name}: the teacher needs a fidelity end: an earlier stage must have "
                'keeps = "fidelity"; or set pretrained or teacher.cache'
            )

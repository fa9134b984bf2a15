"""Settings of training on one device: faces, degradations, and stages one after another."""

from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.degradations.recipes.table import RecipeConfig
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.validation import ValidationConfig
from vidrestore.weights.model_options import check_model_option


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWeights:
    """Weights of the loss terms (see ``losses``); 0 leaves a term out."""

    log_l1: float = field(default=0.0, metadata={"alias": "log_pixels"})
    """Of ``log_l1_loss`` at the resolution of the samples."""
    ssim: float = 0.0
    identity: float = 0.0
    tones: float = 0.0
    """Of the L1 error of means over 8 x 8 pixels, which keeps colors and brightness."""
    truth: float = 0.0
    """Of the L1 error to the target, for samples that do not learn from the teacher."""
    components: float = 0.0
    """Added to 1, the weight of eyes and mouth in ``truth`` and ``teacher``; half in ``tones``."""
    teacher: float = 0.0
    """Of the L1 error to the teacher in detail finer than ``tones``."""
    gradients: float = 0.0
    """Of the same error of gradients, relative to ``teacher``."""
    features: float = 0.0
    """Of squared differences of unit features."""
    adversary: float = 0.0
    matching: float = 0.0
    """Of the L1 difference of the discriminator's features from those of the teacher, or of the
    target where there is none."""
    phases: float = 0.0
    """Of ``phase_loss``, which keeps the detail from a grid with the network's period."""
    consistency: float = 0.0
    """Of the L1 difference of two views of one degraded face."""

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise ConfigError("loss_weights must be >= 0")
        if not any((self.log_l1, self.truth, self.teacher)):
            raise ConfigError("one of log_l1, truth and teacher must be > 0")
        if self.matching and not self.adversary:
            raise ConfigError("loss_weights.matching needs loss_weights.adversary > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of a run; it starts with the averaged weights of the stage before."""

    name: str
    share: float = 1.0
    """Of the run's minutes, relative to the other stages'."""
    steps: int | None = None
    """Number of steps; None trains for a share of the minutes."""
    side_px: int
    """Side of the faces; lengths of recipes are in their pixels."""
    batch: int
    cached: bool = False
    """Take the faces from ``teacher.cache`` also without a loss towards the teacher."""
    crop_px: int = 0
    """Side of the windows of cached faces that steps train on; 0 trains on whole faces."""
    whole_every: int = 4
    """With ``crop_px``: one step in so many sees whole faces, half as many. Only these steps have
    the term ``identity``."""
    generator: AdamConfig
    adversary: AdamConfig | None = None
    loss_weights: StageWeights = field(metadata={"alias": "weights"})
    ema_decay: float = 0.998
    consistency_ratio: float = field(default=0.25, metadata={"alias": "consistency_share"})
    """Part of a batch with a second view, if ``loss_weights.consistency`` is above 0."""
    consistency_shift_px: float = 0.5
    """Maximum shift of either view along each axis."""
    codec_ratio: float = field(default=0.0, metadata={"alias": "codec_share"})
    """Part of a batch that comes from the CPU, through real codecs."""
    codec_repeat: int = 1
    """Number of steps that use the same codec samples."""
    window_px: int = 256
    """Side of the window that features and discriminator see."""
    adversary_start_step: int = field(default=0, metadata={"alias": "adversary_from"})
    """Step at which the adversarial loss starts; the discriminator is trained before that, too."""
    real_resolution_ratio: float = field(default=0.98, metadata={"alias": "real_detail"})
    """Resolution ratio from which faces are shown to the discriminator as real."""
    keeps: Literal["", "fidelity", "detail"] = ""
    """The end that the stage's weights are written as."""

    def __post_init__(self) -> None:
        if self.share <= 0 or self.batch < 1 or (self.steps is not None and self.steps < 1):
            raise ConfigError(f"{self.name}: share must be > 0, batch and steps >= 1")
        if self.side_px % 32 or self.side_px < 64:
            raise ConfigError(f"{self.name}: side_px must be a multiple of 32 from 64 on")
        if self.loss_weights.adversary and self.adversary is None:
            raise ConfigError(f"{self.name}: loss_weights.adversary needs a table adversary")
        if self.window_px % 8 or self.window_px < 32:
            raise ConfigError(f"{self.name}: window_px must be a multiple of 8 from 32 on")
        if not 0 <= self.codec_ratio < 1 or self.codec_repeat < 1:
            raise ConfigError(f"{self.name}: codec_ratio must be in [0, 1), codec_repeat >= 1")
        if self.crop_px % 32 or not 0 <= self.crop_px <= self.side_px or self.whole_every < 1:
            raise ConfigError(
                f"{self.name}: crop_px must be a multiple of 32 up to side_px, and whole_every >= 1"
            )
        if not 0 < self.consistency_ratio <= 1:
            raise ConfigError(f"{self.name}: consistency_ratio must be in (0, 1]")

    @property
    def codec_count(self) -> int:
        """Number of samples of a batch that come from the CPU."""
        return round(self.codec_ratio * self.batch)

    @property
    def paired_count(self) -> int:
        """Number of samples of a batch with a second view."""
        if not self.loss_weights.consistency:
            return 0
        on_device = self.batch - self.codec_count
        return min(on_device, max(1, round(self.consistency_ratio * self.batch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """The teacher: Real-ESRGAN's x4plus, applied to the output of the fidelity end."""

    cache: Path | None = None
    """Folder of a ``TeacherCache``; None runs the teacher in every step, on a GPU."""
    recipes: tuple[RecipeConfig, ...] = ()
    """Of the samples of a cache; by default those of the codec samples."""
    good_psnr_db: float = field(default=31.0, metadata={"alias": "good_from_db"})
    """PSNR of the fidelity end from which a sample learns from the target instead."""
    sharpen: float = 0.0
    """Factor of the teacher's finest detail that is added to it."""
    sharpen_target: float = 0.0
    """The same for the target, which teaches samples that are good but were degraded."""
    in_memory: bool = True
    """Keep the cache on the device; otherwise it is read from the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDataConfig:
    """The faces and their degradations."""

    faces: DatasetConfig
    """Faces at the largest size; its ``recipes`` are those of the codec samples."""
    recipes: tuple[RecipeConfig, ...]
    """Recipes that run on the device: some of ``DEVICE_RECIPES``."""
    aged_probability: float = field(default=0.05, metadata={"alias": "aged_share"})
    """Of a sample in tones of old film: faded, tinted, gray."""
    rows: int = 16_384
    """Number of rows of the table of drawn degradations."""
    held_out: int = 8
    """Number of faces that are never trained on, for the sheet."""
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

    minutes: float = 10.0
    """Of the run, from reading the faces to writing the weights."""
    seed: int = 0
    pretrained: str = field(default="embedded", metadata={"alias": "start"})
    """``embedded`` (the weights in the package), ``compact`` (see ``state_from_compact``),
    ``untrained``, or a file of weights."""
    precision: str = "auto"
    """Of forward passes: ``fp32``, ``bf16`` or ``auto``; weights are float32."""
    compile: bool = False
    """Compile the restorer: takes a minute at the start of every stage."""
    max_grad_norm: float = field(default=1.0, metadata={"alias": "clip_norm"})
    """Gradients of a network with a larger norm are scaled down to it."""
    log_every: int = 50
    """Steps between lines of the log; only there the host waits for the device."""
    save_minutes: float = 2.0
    """Minutes between checkpoints."""
    default_detail: float = 0.5
    """Default position between the two ends for users of the written weights."""
    identity_weights: Path | None = field(default=None, metadata={"alias": "identity"})
    """Weights of ArcFace or MobileFaceNet."""
    feature_weights: Path | None = field(default=None, metadata={"alias": "features"})
    """VGG-19's weights; without them MobileNetV2 replaces it, as the log says."""
    data: DeviceDataConfig
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    stages: tuple[StageConfig, ...]
    validation: ValidationConfig | None = None
    """At the end of every stage that keeps its weights."""

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.save_minutes <= 0 or self.max_grad_norm <= 0:
            raise ConfigError("minutes, save_minutes and max_grad_norm must be > 0")
        if self.precision == "fp16":
            raise ConfigError("precision fp16: gradients underflow; use bf16")
        if self.log_every < 1 or not self.stages:
            raise ConfigError("log_every must be >= 1, and there must be a stage")
        check_model_option("detail", self.default_detail, label="default detail")
        for index, stage in enumerate(self.stages):
            self._check(stage, earlier=self.stages[:index])
        kept = [stage.keeps for stage in self.stages if stage.keeps]
        if len(set(kept)) != len(kept):
            raise ConfigError("two stages have the same keeps; one stage writes each end")

    def reads_cache(self, stage: StageConfig) -> bool:
        """Return whether the faces of ``stage`` come from ``teacher.cache``."""
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
        taught = stage.loss_weights.teacher > 0
        if stage.cached and self.teacher.cache is None:
            raise ConfigError(f"{stage.name}: cached needs teacher.cache")
        if self.reads_cache(stage) and stage.codec_ratio:
            raise ConfigError(
                f"{stage.name}: a teacher cache holds codec samples already: set codec_ratio to 0"
            )
        if stage.crop_px and not self.reads_cache(stage):
            raise ConfigError(f"{stage.name}: crop_px needs faces from teacher.cache")
        has_fidelity = any(stage.keeps == "fidelity" for stage in earlier)
        if (
            taught
            and self.teacher.cache is None
            and not has_fidelity
            and self.pretrained == "untrained"
        ):
            raise ConfigError(
                f"{stage.name}: the teacher needs a fidelity end: an earlier stage must have "
                'keeps = "fidelity"; or set pretrained or teacher.cache'
            )

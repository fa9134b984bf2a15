"""Settings of training on one device: faces, degradations, and stages one after another."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import SampleConfig
from vidrestore.training.data.face_sources import RecipeShare
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.validation import ValidationConfig
from vidrestore.weights.model_options import check_model_option


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWeights:
    """Of every loss term (see ``terms``); 0 leaves it out."""

    log_pixels: float = 0.0
    """Of ``log_l1_loss`` at the detail that samples have."""
    ssim: float = 0.0
    identity: float = 0.0
    tones: float = 0.0
    """Of the L1 error of means over 8 x 8 pixels: colours and brightness stay the footage's."""
    truth: float = 0.0
    """Of the L1 error of samples whose teacher is the truth; of all where there is no teacher."""
    components: float = 0.0
    """Weight of eyes and mouth beyond 1 in ``truth`` and ``teacher``; half of it in ``tones``."""
    teacher: float = 0.0
    """Of the L1 error of what is finer than ``tones``, to the teacher's."""
    gradients: float = 0.0
    """Of the same for gradients, relative to ``teacher``."""
    features: float = 0.0
    """Of squared differences of unit features."""
    adversary: float = 0.0
    matching: float = 0.0
    """Of the L1 difference of the adversary's features, which is steadier than its scores."""
    consistency: float = 0.0
    """Of the L1 difference of two views of one degraded face."""

    def __post_init__(self) -> None:
        values = (self.log_pixels, self.ssim, self.identity, self.tones, self.truth)
        others = (self.components, self.teacher, self.gradients, self.features, self.adversary)
        more = (self.matching, self.consistency)
        if min(*values, *others, *more) < 0:
            raise ConfigError("weights of losses must be >= 0")
        if not any((self.log_pixels, self.truth, self.teacher)):
            raise ConfigError("one of log_pixels, truth and teacher must be > 0")
        if self.matching and not self.adversary:
            raise ConfigError("weights.matching needs an adversary: set weights.adversary > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of a run; it begins with the averaged weights of the one before."""

    name: str
    share: float = 1.0
    """Of the run's minutes, relative to the other stages'."""
    steps: int | None = None
    """In place of a share of the minutes: so many steps, however long they take."""
    side_px: int
    """Of whole faces; recipes' lengths in pixels are of such pictures."""
    batch: int
    generator: AdamConfig
    adversary: AdamConfig | None = None
    weights: StageWeights
    ema_decay: float = 0.998
    consistency_share: float = 0.25
    """Of a batch that is seen twice, where the term has a weight."""
    consistency_shift_px: float = 0.5
    """Largest shift of either view along each axis."""
    codec_share: float = 0.0
    """Of a batch that comes from the CPU, through real codecs."""
    codec_repeat: int = 1
    """Steps that a set of codec samples is used for."""
    window_px: int = 256
    """Side of the window that features and adversary see."""
    adversary_from: int = 0
    """Step of the stage from which the restorer follows the adversary, which learns before it."""
    real_detail: float = 0.98
    """Detail from which a photograph is sharp enough to be called real to the adversary."""
    keeps: Literal["", "fidelity", "detail"] = ""
    """The end that the stage's last weights are."""

    def __post_init__(self) -> None:
        if self.share <= 0 or self.batch < 1 or (self.steps is not None and self.steps < 1):
            raise ConfigError(f"{self.name}: share must be > 0, batch and steps >= 1")
        if self.side_px % 32 or self.side_px < 64:
            raise ConfigError(f"{self.name}: side_px must be a multiple of 32 from 64 on")
        if self.weights.adversary and self.adversary is None:
            raise ConfigError(f"{self.name}: weights.adversary needs a table adversary")
        if self.window_px % 8 or self.window_px < 32:
            raise ConfigError(f"{self.name}: window_px must be a multiple of 8 from 32 on")
        if not 0 <= self.codec_share < 1 or self.codec_repeat < 1:
            raise ConfigError(f"{self.name}: codec_share must be in [0, 1), codec_repeat >= 1")
        if not 0 < self.consistency_share <= 1:
            raise ConfigError(f"{self.name}: consistency_share must be in (0, 1]")

    @property
    def codec_samples(self) -> int:
        """How many samples of a batch come from the CPU."""
        return round(self.codec_share * self.batch)

    @property
    def paired_samples(self) -> int:
        """How many samples of a batch are seen twice."""
        if not self.weights.consistency:
            return 0
        own = self.batch - self.codec_samples
        return min(own, max(1, round(self.consistency_share * self.batch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Real-ESRGAN's x4plus of what the fidelity end makes of a face."""

    cache: Path | None = None
    """Folder that ``TeacherCache`` filled; None asks the teacher in every step, on a GPU."""
    recipes: tuple[RecipeShare, ...] = ()
    """Of a cache's samples; those of the codec samples where there are none."""
    good_from_db: float = 31.0
    """PSNR of the fidelity end from which the truth itself is the teacher."""
    sharpen: float = 0.0
    """How much of the teacher's finest detail is added once more."""
    in_memory: bool = True
    """Hold the cache on the device; else it is read from the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDataConfig:
    """What is done to faces, and where."""

    faces: SampleConfig
    """Faces at the largest size, and in ``recipes`` those of the CPU's codec samples."""
    recipes: tuple[RecipeShare, ...]
    """Of the device: some of ``table.DEVICE_RECIPES``."""
    aged_share: float = 0.05
    """Of samples in tones of old film: faded, tinted, grey."""
    rows: int = 16_384
    """Of the table of drawn degradations."""
    held_out: int = 8
    """Faces that are never trained on, for the sheet."""
    workers: int = 2
    """Processes that read faces and make codec samples."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.held_out < 1 or self.workers < 0:
            raise ConfigError("rows and held_out must be >= 1 and workers >= 0")
        if not 0 <= self.aged_share <= 1:
            raise ConfigError(f"aged_share must be in [0, 1], got {self.aged_share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRunConfig:
    """A whole run on one device: its data, its teacher, its stages."""

    minutes: float = 10.0
    """Of the run, from reading the faces to writing the weights."""
    seed: int = 0
    start: str = "embedded"
    """``embedded`` (the package's own weights), ``compact`` (``networks.state_from_compact``),
    ``untrained``, or a file of weights."""
    precision: str = "auto"
    """Of forward passes: ``fp32``, ``bf16`` or ``auto``; weights are float32."""
    compile: bool = False
    """Compile the networks that are trained: a minute at the start of every stage."""
    clip_norm: float = 1.0
    """Longest gradient of a network; longer ones are shortened to it."""
    log_every: int = 50
    """Steps between lines of the log, where alone the host waits for the device."""
    save_minutes: float = 2.0
    """Between checkpoints."""
    default_detail: float = 0.5
    """Where between the two ends the written weights are used if nothing is asked for."""
    identity: Path | None = None
    """ArcFace's or MobileFaceNet's weights, told from their tensors."""
    features: Path | None = None
    """VGG-19's weights; without them MobileNetV2 takes its place, as the log says."""
    data: DeviceDataConfig
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    stages: tuple[StageConfig, ...]
    validation: ValidationConfig | None = None
    """At the end of every stage that keeps its weights."""

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.save_minutes <= 0 or self.clip_norm <= 0:
            raise ConfigError("minutes, save_minutes and clip_norm must be > 0")
        if self.precision == "fp16":
            raise ConfigError("precision fp16 has too few exponents for gradients; take bf16")
        if self.log_every < 1 or not self.stages:
            raise ConfigError("log_every must be >= 1, and there must be a stage")
        check_model_option("detail", self.default_detail, label="default detail")
        for at, stage in enumerate(self.stages):
            self._check(stage, earlier=self.stages[:at])
        kept = [stage.keeps for stage in self.stages if stage.keeps]
        if len(set(kept)) != len(kept):
            raise ConfigError("each end is kept by one stage")

    def _check(self, stage: StageConfig, *, earlier: tuple[StageConfig, ...]) -> None:
        whole = self.data.faces.size_px
        if whole % stage.side_px:
            raise ConfigError(f"{stage.name}: side_px must divide faces.size_px, {whole}")
        if stage.weights.identity and self.identity is None:
            raise ConfigError(
                f"{stage.name}: weights.identity needs the file of a network: identity"
            )
        taught = stage.weights.teacher > 0
        cached = taught and self.teacher.cache is not None
        if cached and (stage.weights.consistency or stage.codec_share):
            raise ConfigError(
                f"{stage.name}: a teacher's cache holds one view of each face, codecs included: "
                "set weights.consistency and codec_share to 0"
            )
        kept = any(each.keeps == "fidelity" for each in earlier)
        if taught and self.teacher.cache is None and not kept and self.start == "untrained":
            raise ConfigError(
                f"{stage.name}: the teacher enlarges the fidelity end: an earlier stage must have "
                'keeps = "fidelity", or start must name one, or teacher.cache'
            )

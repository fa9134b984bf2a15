"""What a training run is: one frozen value, read from TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from vidrestore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One folder of faces."""

    folder: str
    """Relative to ``DataConfig.root``; holds ``tiles.tsv`` or ``faces.tsv``."""
    share_of_resolution: float = 1.0
    """Part of each face's effective resolution to trust; below 1 shrinks artefacts away."""
    weight: float = 1.0
    """How often its faces are drawn, relative to other folders' faces."""

    def __post_init__(self) -> None:
        if not 0 < self.share_of_resolution <= 1 or self.weight <= 0:
            raise ConfigError("share_of_resolution must be in (0, 1] and weight > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeShare:
    """One degradation recipe and how often it is drawn."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Faces, crops and degradations."""

    root: Path
    sources: tuple[SourceConfig, ...]
    recipes: tuple[RecipeShare, ...]
    crop_px: int = 256
    batch_size: int = 8
    least_px: int = 256
    """Faces are aligned to at least this side."""
    gray_share: float = 0.1
    """Part of the samples that are made black-and-white, input and target alike."""
    workers: int = 1

    def __post_init__(self) -> None:
        if self.crop_px % 32 or not 32 <= self.crop_px <= 512:
            raise ConfigError(f"crop_px must be a multiple of 32 up to 512, got {self.crop_px}")
        if self.batch_size < 1 or self.workers < 0:
            raise ConfigError("batch_size must be >= 1 and workers >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """Adam, with a warm-up and a cosine to zero."""

    peak_lr: float = 5e-4
    warmup_steps: int = 200
    head_lr_scale: float = 0.05
    """Learning rate of the last layer relative to the others'."""
    beta1: float = 0.9
    beta2: float = 0.99
    clip_norm: float = 1.0
    ema_decay: float = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A whole run of the reconstruction training."""

    model: str
    data: DataConfig
    steps: int
    seed: int = 0
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    precision: str = "auto"
    log_every: int = 50
    save_every: int = 250

    def __post_init__(self) -> None:
        if self.steps < 1 or self.log_every < 1 or self.save_every < 1:
            raise ConfigError("steps, log_every and save_every must be >= 1")

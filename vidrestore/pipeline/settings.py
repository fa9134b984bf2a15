"""Settings of a restoration."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from vidrestore.errors import ConfigError
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.paste.settings import MaskShape, PasteConfig
from vidrestore.restore.settings import BlendingConfig, TemporalDenoiseConfig
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.weights.model_options import MODEL_OPTIONS, check_knob

Deinterlace: TypeAlias = Literal["auto", "keep", "frame", "field"]
"""``auto`` keeps the fields of interlaced film. ``keep`` also treats a film without flags as
interlaced, unless its pictures show that it is not. ``frame`` and ``field`` deinterlace to one
picture per frame or per field."""

DETECTORS = ("mtcnn", "retinaface", "retinaface-mobile")
"""Names of the setting ``detector``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """Settings of ``restore_video``; the defaults suit most films."""

    model: str = "lite"
    """A name of the model table, or a checkpoint file."""
    fidelity: float | None = None
    """For CodeFormer: 0 takes most from its codebook, 1 most from the film; None is its default."""
    detail: float | None = None
    """For ``lite``: 0 stays closest to the film, 1 is sharpest; None is its weights' default."""
    background: str | Path | None = None
    """Super-resolution network for the whole picture: a name from ``UPSCALERS``, or a checkpoint
    file; None leaves the picture as it is."""
    scale: int | None = None
    """Enlargement by ``background`` along each side; None is 1 for a name, and the network's
    factor for a checkpoint file."""
    detector: str = "mtcnn"
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    """Crops per call of the network; chosen for the device if None."""
    strength: float = 1.0
    """0 changes nothing, 1 shows restored faces in full."""
    grain: float = 1.0
    """Share of the source's grain put back on restored faces."""
    mask: MaskShape = "head"
    """The restored region: only the face, or also hair, ears and neck."""
    steady: float = 1.0
    """How much a face is averaged over neighbouring frames before it is restored, and its detail
    after; 0 restores each frame separately."""
    safeguard: float = 1.0
    """How strongly faces are protected: a face that is hidden, turned or uncertain, or whose
    identity, eyes or mouth would change, is restored less or not at all; 0 restores all in
    full."""
    keep_good: float = 1.0
    """How strongly faces that are already good are left unchanged."""
    faces: Literal["all", "largest"] = "all"
    min_face_px: float = 24.0
    """Smallest longer side of the box of a face to restore, in display pixels."""
    only_tracks: tuple[int, ...] = ()
    """Numbers of the tracks to restore, from the record of a run over the same part; all if
    empty."""
    deinterlace: Deinterlace = "auto"
    """Treatment of interlaced film: restored field by field and kept interlaced, or deinterlaced;
    see ``Deinterlace``."""
    pulldown: bool = False
    """Undo 3:2 pulldown: four frames of film for every five."""
    start_seconds: Fraction | None = None
    end_seconds: Fraction | None = None
    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    fps: Fraction = Fraction(25)
    """Frame rate of a folder of frames."""
    compare: Path | None = None
    """Also write a film with before and after side by side."""
    record: Path | None = None
    """Also write what was synthesised, frame by frame, as JSON lines (``vidrestore/record``)."""
    framemd5: Path | None = None
    """Also write checksums of the written film's frames, as FFmpeg's ``framemd5``."""
    overwrite: bool = False
    drop_unsupported: bool = False
    """Drop streams that the output cannot hold, instead of refusing the film."""

    def __post_init__(self) -> None:
        if self.detector not in DETECTORS:
            known = ", ".join(DETECTORS)
            raise ConfigError(f"unknown detector {self.detector!r}; choose from: {known}")
        if isinstance(self.background, str):
            # Imported here: the table of networks needs torch, which nothing else here does.
            from vidrestore.models.upscalers.registry import upscaler_spec

            upscaler_spec(self.background)
        if self.scale not in (None, 1, 2, 4):
            raise ConfigError(f"scale must be 1, 2 or 4, got {self.scale}")
        if self.scale is not None and self.background is None:
            raise ConfigError("scale is only for background; set background, too")
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.faces not in ("all", "largest"):
            raise ConfigError(f"faces must be 'all' or 'largest', got {self.faces!r}")
        if self.deinterlace not in get_args(Deinterlace):
            known = ", ".join(get_args(Deinterlace))
            raise ConfigError(f"deinterlace must be one of {known}, got {self.deinterlace!r}")
        if self.pulldown and self.deinterlace == "field":
            raise ConfigError("pulldown excludes deinterlace field; leave out one of them")
        for name in MODEL_OPTIONS:
            check_knob(name, getattr(self, name))
        if self.min_face_px < 0:
            raise ConfigError(f"min_face_px must be >= 0, got {self.min_face_px}")
        if any(number < 0 for number in self.only_tracks):
            raise ConfigError(f"only_tracks must be numbers of tracks, got {self.only_tracks}")
        if self.fps <= 0:
            raise ConfigError(f"fps must be > 0, got {self.fps}")
        start = self.start_seconds or Fraction(0)
        if start < 0 or (self.end_seconds is not None and self.end_seconds <= start):
            raise ConfigError(f"the end ({self.end_seconds} s) must come after the start ({start})")
        self.paste_config()
        self.steady_config()
        self.safeguard_config()
        self.encoder_settings()

    def paste_config(self) -> PasteConfig:
        """Return the settings of the paste stage."""
        return PasteConfig(strength=self.strength, grain=self.grain, mask=self.mask)

    def steady_config(self) -> TemporalDenoiseConfig:
        """Return the settings of the stage that steadies faces before they are restored."""
        return TemporalDenoiseConfig(strength=self.steady)

    def blending_config(self) -> BlendingConfig:
        """Return the settings of the stage that blends the detail of restored faces."""
        return BlendingConfig(strength=self.steady)

    def safeguard_config(self) -> SafeguardConfig:
        """Return the settings of the stages that protect faces."""
        return SafeguardConfig(strength=self.safeguard, keep_good=self.keep_good)

    def encoder_settings(self) -> EncoderSettings:
        """Return the settings of the encoder."""
        return EncoderSettings(codec=self.codec, crf=self.crf, preset=self.preset)

"""Face crops: aligned, restored, and what became of them in the finished frame."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidrestore.types.arrays import Affine, Box
from vidrestore.types.face import TrackedFace
from vidrestore.types.frame import Frame

if TYPE_CHECKING:
    from torch import Tensor

CROP_SIZE_PX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How much of a restored face is to be taken, and why not all of it."""

    strength: float = 1.0
    """0 leaves the face alone, 1 shows it as restored."""
    reason: str | None = None
    """A short code such as ``too small``; None where nothing speaks against restoring."""
    identity_similarity: float | None = None
    """How alike source and restored face are to a network that knows people; None: not asked."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, got {self.strength}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFace:
    """A tracked face resampled into the canonical crop."""

    face: TrackedFace
    display_to_crop: Affine
    crop_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1], on the device that restores it."""
    denoised_chw: "Tensor | None" = None
    """The crop averaged with what neighbouring frames show of the face; None where none does."""
    verdict: Verdict = Verdict()
    """How much may be taken of what becomes of it, as far as the face itself says."""

    def __post_init__(self) -> None:
        for crop in (self.crop_chw, self.denoised_chw):
            if crop is not None and tuple(crop.shape) != (3, CROP_SIZE_PX, CROP_SIZE_PX):
                raise ValueError(f"a crop must be (3, S, S), got {tuple(crop.shape)}")
        if self.display_to_crop.shape != (2, 3):
            raise ValueError(f"display_to_crop must be (2, 3), got {self.display_to_crop.shape}")

    @property
    def restorer_input_chw(self) -> "Tensor":
        """What a restorer is given."""
        return self.crop_chw if self.denoised_chw is None else self.denoised_chw


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFrame:
    """A frame as decoded, with the crops of the faces to restore in it."""

    frame: Frame
    shot: int
    faces: tuple[AlignedFace, ...]
    """In order of track number."""
    skipped_faces: tuple[TrackedFace, ...] = ()
    """Faces that are not to be restored."""
    is_monochrome: bool = False
    """As of ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFace:
    """An aligned face and what a restorer made of it."""

    aligned: AlignedFace
    restored_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    face_mask_hw: "Tensor | None" = None
    """``(R, R)`` float32 in [0, 1], R a divisor of S: how much of each cell of the crop the face
    fills, hair and ears not counted; None where the restorer does not tell."""
    head_hw: "Tensor | None" = None
    """The same of the head: face, hair, hat, ears and neck."""
    verdict: Verdict = Verdict()

    def __post_init__(self) -> None:
        if self.restored_chw.shape != self.aligned.crop_chw.shape:
            raise ValueError(f"restored crop is {tuple(self.restored_chw.shape)}")
        for name, face_mask_hw in (("face_mask_hw", self.face_mask_hw), ("head_hw", self.head_hw)):
            shape = (1, 1) if face_mask_hw is None else tuple(face_mask_hw.shape)
            if len(shape) != 2 or shape[0] != shape[1] or CROP_SIZE_PX % shape[0]:
                raise ValueError(f"{name} must be (R, R), R a divisor of S, got {shape}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFrame:
    """A frame as decoded, with its faces restored beside it, not yet pasted."""

    frame: Frame
    shot: int
    faces: tuple[RestoredFace, ...]
    skipped_faces: tuple[TrackedFace, ...] = ()
    """Faces that were not restored."""
    is_monochrome: bool = False
    """As of ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFace:
    """What became of one face in one frame."""

    face: TrackedFace
    verdict: Verdict
    mask_xyxy: Box | None
    """Bounds of the samples that it may have changed, in coded pixels of the frame written; None
    where it changed none."""
    luma_before: float | None = None
    """Mean of the face, 0 to 255, as decoded; None where it was not cut out."""
    luma_after: float | None = None
    """The same as restored, at the strength it was taken with."""

    @property
    def restored(self) -> bool:
        """Whether anything of it was changed."""
        return self.mask_xyxy is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFrame:
    """A frame ready for the encoder, and what became of its faces."""

    frame: Frame
    """As it is to be written."""
    source: Frame
    """As decoded."""
    shot: int
    faces: tuple[FinishedFace, ...]
    """All that were found, in order of track number."""
    is_monochrome: bool = False
    """As of ``TrackedFrame``."""

"""Face crops: aligned, restored, and pasted into the finished frame."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidrestore.types.arrays import Affine, Box
from vidrestore.types.face import CROP_SIZE_PX, CROP_SIZES_PX, TrackedFace
from vidrestore.types.frame import Frame
from vidrestore.types.repair import Repair

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Assessment:
    """How strongly a restored face may replace the source, and what limits it."""

    strength: float = 1.0
    """0 leaves the source, 1 takes the restored face in full."""
    reason: str | None = None
    """A short code such as ``too small``; None if nothing limits the strength."""
    identity_similarity: float | None = None
    """Similarity of source and restored face: 1 - embedding distance / 1.2; None if not
    measured."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, got {self.strength}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFace:
    """A tracked face and its aligned crop."""

    face: TrackedFace
    display_to_crop: Affine
    """Map to the space of crops, whose side is ``CROP_SIZE_PX`` whatever S is."""
    crop_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1], on the device that restores it; S is one of
    ``CROP_SIZES_PX``."""
    denoised_chw: "Tensor | None" = None
    """The crop after temporal denoising; None if no neighboring frame shows the face."""
    assessment: Assessment = Assessment()
    """Assessment from the checks on the source face."""

    def __post_init__(self) -> None:
        shape = tuple(self.crop_chw.shape)
        if shape not in [(3, side, side) for side in CROP_SIZES_PX]:
            raise ValueError(f"a crop must be (3, S, S), S 128, 256 or 512, got {shape}")
        if self.denoised_chw is not None and tuple(self.denoised_chw.shape) != shape:
            raise ValueError(f"the denoised crop is {tuple(self.denoised_chw.shape)}, not {shape}")
        if self.display_to_crop.shape != (2, 3):
            raise ValueError(f"display_to_crop must be (2, 3), got {self.display_to_crop.shape}")

    @property
    def side_px(self) -> int:
        """S, the side of the crop."""
        return self.crop_chw.shape[-1]

    @property
    def restorer_input_chw(self) -> "Tensor":
        """The denoised crop if there is one, or else the crop."""
        return self.crop_chw if self.denoised_chw is None else self.denoised_chw


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropPart:
    """A part of the aligned crop of a face."""

    display_to_crop: Affine
    """Map to the space of crops, not of the part."""
    rgb_chw: "Tensor"
    """``(3, h, w)`` float32 RGB in [0, 1], as in a crop of ``CROP_SIZE_PX``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFrame:
    """A frame as decoded, with the crops of the faces to restore in it."""

    frame: Frame
    shot: int
    faces: tuple[AlignedFace, ...]
    """In order of track number."""
    skipped_faces: tuple[TrackedFace, ...] = ()
    """Faces that are not restored."""
    is_monochrome: bool = False
    """See ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFace:
    """An aligned face and its restored crop."""

    aligned: AlignedFace
    restored_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    face_mask_hw: "Tensor | None" = None
    """``(R, R)`` float32 in [0, 1], R a divisor of S: fraction of each cell that the face fills,
    without hair and ears; None if the restorer returns no parsing map."""
    head_mask_hw: "Tensor | None" = None
    """The same for the head: face, hair, hat, ears and neck."""
    assessment: Assessment = Assessment()

    def __post_init__(self) -> None:
        if self.restored_chw.shape != self.aligned.crop_chw.shape:
            raise ValueError(f"restored crop is {tuple(self.restored_chw.shape)}")
        for name in ("face_mask_hw", "head_mask_hw"):
            mask_hw: Tensor | None = getattr(self, name)
            shape = (1, 1) if mask_hw is None else tuple(mask_hw.shape)
            if len(shape) != 2 or shape[0] != shape[1] or CROP_SIZE_PX % shape[0]:
                raise ValueError(f"{name} must be (R, R), R a divisor of S, got {shape}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredCrops:
    """A batch of restored crops."""

    images_nchw: "Tensor"
    """``(N, 3, S, S)`` float32 RGB in [0, 1]."""
    face_masks_nhw: "Tensor | None" = None
    """``(N, R, R)``: ``face_mask_hw`` of each ``RestoredFace``."""
    head_masks_nhw: "Tensor | None" = None
    """``(N, R, R)``: ``head_mask_hw`` of each."""

    def __post_init__(self) -> None:
        for masks in (self.face_masks_nhw, self.head_masks_nhw):
            if masks is not None and len(masks) != len(self.images_nchw):
                raise ValueError(f"{len(self.images_nchw)} crops, but {len(masks)} masks")

    def first(self, count: int) -> "RestoredCrops":
        """Return the first ``count`` crops."""
        return RestoredCrops(
            images_nchw=self.images_nchw[:count],
            face_masks_nhw=None if self.face_masks_nhw is None else self.face_masks_nhw[:count],
            head_masks_nhw=None if self.head_masks_nhw is None else self.head_masks_nhw[:count],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFrame:
    """A frame as decoded, with its restored faces, which are not pasted yet."""

    frame: Frame
    shot: int
    faces: tuple[RestoredFace, ...]
    skipped_faces: tuple[TrackedFace, ...] = ()
    """Faces that were not restored."""
    is_monochrome: bool = False
    """See ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFace:
    """The result for one face in one frame."""

    face: TrackedFace
    assessment: Assessment
    mask_xyxy: Box | None
    """Bounds of the samples that may have changed, in coded pixels of the output frame; None if no
    sample changed."""
    crop_side_px: int | None = None
    """Side of the crop that was restored, one of ``CROP_SIZES_PX``; None if none was."""
    luma_before: float | None = None
    """Mean luma of the face as decoded, 0 to 255; None if it was not cropped."""
    luma_after: float | None = None
    """The same after restoration, at the strength applied."""

    @property
    def restored(self) -> bool:
        """Whether any sample was changed."""
        return self.mask_xyxy is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFrame:
    """A frame ready for the encoder, and the result for its faces."""

    frame: Frame
    """The frame as it is written."""
    source: Frame
    """The frame as decoded."""
    shot: int
    faces: tuple[FinishedFace, ...]
    """All tracked faces, in order of track number."""
    is_monochrome: bool = False
    """See ``TrackedFrame``."""
    repair: Repair | None = None
    """Repairs of the whole frame; None if there are none."""

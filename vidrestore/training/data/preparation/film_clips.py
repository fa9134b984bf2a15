"""Cuts the tracks of films into clips of aligned faces, and splits them into train and test.

No person and no shot is in both splits. Every frame is an image of a face, so training reads the
splits as it reads any folder; the temporal loss reads neighboring frames (``clip_pairs``). Of
interlaced films, frames are made as ``whole_frames`` says.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import (
    connected_components,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.spatial.distance import cdist

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.tracking.landmark_smoothing import smooth_tracks
from vidrestore.faces.tracking.tracker import track_faces
from vidrestore.media.color.preview import preview_rgb
from vidrestore.safeguard.identity import PEOPLE_DISTANCE
from vidrestore.training.data.archives import read_image
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.face_table import load_aligned
from vidrestore.training.data.preparation.photo_faces import (
    AlignedPhoto,
    PrepareConfig,
    check_face,
    encode_png,
)
from vidrestore.training.data.preparation.prepare_faces import face_cells, write_file
from vidrestore.training.data.preparation.prepared_folder import (
    COLUMNS,
    TABLE,
    PreparedFolder,
    write_table,
)
from vidrestore.training.data.whole_frames import open_whole_frames
from vidrestore.types import Frame, RgbView, TrackedFrame

Embedding: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Returns the embedding of an aligned face ``(S, S, 3)``, as ``safeguard.identity`` does."""
_EXTRA = ("clip", "person")
_IDENTITY_FRAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipConfig:
    """Length of clips, and how they are split."""

    min_frames: int = 8
    max_frames: int = 64
    """A longer track gives several clips."""
    test_ratio: float = 0.1
    """Part of the frames that are for testing, about."""
    split: Literal["person", "shot"] = "person"
    """``person`` keeps people and shots apart, ``shot`` shots alone."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_frames <= self.max_frames:
            raise ConfigError("min_frames must be 1 to max_frames")
        if not 0 <= self.test_ratio < 1:
            raise ConfigError(f"test_ratio must be in [0, 1), got {self.test_ratio}")


@dataclass(slots=True, kw_only=True)
class ClipReport:
    """Counts of a preparation."""

    clips: dict[str, int] = field(default_factory=dict[str, int])
    """Split -> clips."""
    frames: dict[str, int] = field(default_factory=dict[str, int])
    people: int
    dropped: Counter[str]
    """Reason -> frames, or clips, that were left out for it."""


def prepare_clips(
    films: Sequence[Path],
    target: Path,
    *,
    detector: Detector,
    embedding: Embedding,
    config: PrepareConfig,
    clip_config: ClipConfig,
) -> ClipReport:
    """Write the faces of films as ``clips/CLIP/FRAME.png``, and ``faces.tsv`` of each split.

    A call with the same settings continues an interrupted one, film by film, and takes films that
    were added since.

    Args:
        films: Of different names.
        target: An empty or new folder, or one of a call with the same settings.
        detector: Finds faces.
        embedding: Tells people apart.
        config: Conditions on a face; a frame that fails ends a clip.
        clip_config: Length of clips, and how they are split.

    Raises:
        ConfigError: Two films have one name, or ``target`` holds other files.
        MediaError: A film cannot be read.
    """
    names = [film.name for film in films]
    if len(set(names)) < len(names):
        raise ConfigError("films must have different names: clips are named after them")
    settings = {"config": asdict(config), "clips": asdict(clip_config)}
    folder = PreparedFolder.open(target, settings)
    for film in films:
        if film.name not in folder:
            writer = _ClipWriter(film.name, target / "clips", config, clip_config)
            for tracked, view in _tracked_frames(film, detector):
                writer.add(tracked, view.rgb_hwc)
            folder.add(film.name, writer.finish(), writer.dropped)
    return _write_splits(folder, target, embedding, clip_config)


def _tracked_frames(film: Path, detector: Detector) -> Iterator[tuple[TrackedFrame, RgbView]]:
    with open_whole_frames(film) as source:
        geometry = source.info.geometry

        def view(frame: Frame, max_side_px: int) -> RgbView:
            return preview_rgb(frame, geometry, max_side_px)

        frames: Iterator[Frame] = iter(source)
        for tracked in smooth_tracks(track_faces(frames, detector=detector, view=view)):
            yield tracked, view(tracked.frame, max(geometry.display_hw))


@dataclass(slots=True, kw_only=True)
class _OpenClip:
    name: str
    side_px: int
    next_frame: int
    rows: list[list[str]] = field(default_factory=list[list[str]])


class _ClipWriter:
    """Writes the clips of one film."""

    def __init__(
        self, film: str, folder: Path, config: PrepareConfig, clip_config: ClipConfig
    ) -> None:
        self.dropped = Counter[str]()
        self._film, self._folder = film, folder
        self._config, self._clip_config = config, clip_config
        self._open: dict[int, _OpenClip] = {}
        self._rows: list[list[str]] = []

    def add(self, tracked: TrackedFrame, rgb_hwc: NDArray[np.uint8]) -> None:
        """Add the faces of the next frame."""
        frame = tracked.frame.index
        for face in tracked.faces:
            points = face.landmarks_xy.astype(np.float64)
            reason, aligned = check_face(rgb_hwc, points, self._config)
            if aligned is None:
                self.dropped[reason] += 1
            else:
                self._add_face(tracked.shot, face.track_id, frame, rgb_hwc, aligned)
        for track, clip in list(self._open.items()):
            if clip.next_frame <= frame or len(clip.rows) == self._clip_config.max_frames:
                self._close(track)

    def _add_face(
        self,
        shot: int,
        track: int,
        frame: int,
        rgb_hwc: NDArray[np.uint8],
        aligned: AlignedPhoto,
    ) -> None:
        clip = self._open.get(track)
        if clip is None:
            name = f"{self._film}-{shot:04d}-{track:04d}-{frame:07d}"
            clip = _OpenClip(name=name, side_px=aligned.crop_hwc.shape[0], next_frame=frame)
            self._open[track] = clip
            # What an interrupted call left.
            shutil.rmtree(self._folder / name, ignore_errors=True)
            (self._folder / name).mkdir(parents=True)
        # All frames of a clip have one size.
        crop, points = load_aligned(aligned.row, side_px=clip.side_px, sheet=rgb_hwc)
        file = f"{frame:07d}.png"
        write_file(self._folder / clip.name / file, encode_png(crop))
        numbers = [*points.ravel(), min(aligned.effective_px, clip.side_px), aligned.native_px]
        boxes = component_boxes(points)
        file = f"../clips/{clip.name}/{file}"
        cells = face_cells(file, numbers, source=self._film, mask="", boxes=boxes)
        clip.rows.append([*cells, clip.name])
        clip.next_frame = frame + 1

    def _close(self, track: int) -> None:
        clip = self._open.pop(track)
        if len(clip.rows) < self._clip_config.min_frames:
            self.dropped["in a clip that is too short"] += len(clip.rows)
            shutil.rmtree(self._folder / clip.name)
        else:
            self._rows += clip.rows

    def finish(self) -> list[list[str]]:
        """Return the rows of all clips."""
        for track in list(self._open):
            self._close(track)
        return self._rows


def _write_splits(
    folder: PreparedFolder, target: Path, embedding: Embedding, config: ClipConfig
) -> ClipReport:
    clips: dict[str, list[list[str]]] = {}
    for row in folder.rows:
        clips.setdefault(row[-1], []).append(row)
    if not clips:
        raise ConfigError(
            f"no face of the films is fit for a clip: {dict(folder.report().dropped)}"
        )
    vectors = np.stack([_clip_embedding(rows, target, embedding) for rows in clips.values()])
    people = _groups(cdist(vectors, vectors) < PEOPLE_DISTANCE)
    shots = np.array([name.rsplit("-", 2)[0] for name in clips])
    linked = shots[:, None] == shots
    if config.split == "person":
        linked |= people[:, None] == people
    in_test = _choose_test(_groups(linked), [len(rows) for rows in clips.values()], config)
    report = ClipReport(people=len(set(people)), dropped=folder.report().dropped)
    for split, chosen in (("train", ~in_test), ("test", in_test)):
        rows = [
            [*row, str(person)]
            for clip_rows, person, is_chosen in zip(clips.values(), people, chosen, strict=True)
            for row in clip_rows
            if is_chosen
        ]
        report.clips[split], report.frames[split] = int(chosen.sum()), len(rows)
        (target / split).mkdir(exist_ok=True)
        write_table(target / split / TABLE, [*COLUMNS, *_EXTRA], rows)
    return report


def _groups(linked_NN: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of each one's group; what is linked to a member belongs to the group."""
    return np.asarray(connected_components(linked_NN, directed=False)[1], np.int32)


def _choose_test(
    groups: NDArray[np.int32], frames: Sequence[int], config: ClipConfig
) -> NDArray[np.bool_]:
    """Return which clips are for testing: whole groups, in random order, up to the ratio."""
    sizes = np.bincount(groups, weights=frames)
    room = config.test_ratio * sizes.sum()
    chosen: list[int] = []
    for group in np.random.default_rng(0).permutation(len(sizes)):
        if sizes[group] <= room:
            chosen.append(int(group))
            room -= sizes[group]
    if not chosen and len(sizes) > 1 and config.test_ratio:
        chosen = [int(sizes.argmin())]
    return np.isin(groups, chosen)


def _clip_embedding(
    rows: Sequence[Sequence[str]], target: Path, embedding: Embedding
) -> NDArray[np.float32]:
    """Return the mean embedding of a few frames of a clip."""
    chosen = np.linspace(0, len(rows) - 1, min(_IDENTITY_FRAMES, len(rows)))
    files = [rows[int(index)][0].removeprefix("../") for index in chosen]
    images = [read_image(target / file) for file in files]
    return np.mean([embedding(image) for image in images], axis=0)

"""Reads a face of a video as a sequence of aligned crops."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.faces.align import align_face
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.tracking.landmark_smoothing import smooth_tracks
from vidrestore.faces.tracking.tracker import track_faces
from vidrestore.media.color.preview import preview_rgb
from vidrestore.training.data.whole_frames import open_whole_frames
from vidrestore.types import Frame, RgbView


def align_clip(path: Path, *, detector: Detector, max_frames: int) -> list[Tensor]:
    """Return the face with the longest track in a video's first frames, aligned in each.

    Args:
        path: A video, or a folder of frames.
        detector: The face detector.
        max_frames: Maximum number of frames to read.

    Returns:
        A crop for every frame of the track, ``(3, 512, 512)`` float32 RGB in [0, 1].

    Raises:
        ConfigError: No face is in two or more frames.
        MediaError: The video cannot be read.
    """
    with open_whole_frames(path) as source:
        geometry = source.info.geometry

        def view(frame: Frame, max_side_px: int) -> RgbView:
            return preview_rgb(frame, geometry, max_side_px)

        frames: Iterator[Frame] = islice(iter(source), max_frames)
        crops: dict[int, list[Tensor]] = {}
        for tracked in smooth_tracks(track_faces(frames, detector=detector, view=view)):
            for face in tracked.faces:
                crop = align_face(tracked.frame, geometry, face, device=torch.device("cpu"))
                if crop is not None:
                    crops.setdefault(face.track_id, []).append(crop.crop_chw)
    longest = max(crops.values(), key=len, default=list[Tensor]())
    if len(longest) < 2:
        raise ConfigError(f"{path}: no face in two or more of the first {max_frames} frames")
    return longest

"""Prepares a training set: aligned faces from photographs, and why others are left out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.storage.file_errors import file_errors
from vidrestore.training.data.archives import list_images
from vidrestore.training.data.component_boxes import (
    boxes_of_dense_landmarks,
    boxes_of_labels,
    component_boxes,
)
from vidrestore.training.data.preparation.label_sources import LabelSource, LandmarkSource
from vidrestore.training.data.preparation.photo_faces import (
    AlignedPhoto,
    PhotoFaceFinder,
    PhotoFaces,
    PrepareConfig,
    encode_png,
)
from vidrestore.training.data.preparation.prepared_folder import PreparedFolder, PrepareReport


def prepare_faces(
    source: Path,
    target: Path,
    *,
    detector: Detector,
    config: PrepareConfig,
    labels: LabelSource | None = None,
    images: Iterable[Path] | None = None,
    landmarks: LandmarkSource | None = None,
    processes: int = 1,
    on_image: Callable[[int], None] = lambda done: None,
) -> PrepareReport:
    """Write every suitable face of ``source`` to ``target``: PNGs, ``faces.tsv``, labels.

    A call with the same settings continues an interrupted one, and takes photographs that were
    added since. Any number of processes writes the same files.

    Args:
        source: A folder, with its subfolders, or a zip or tar archive of photographs.
        target: An empty or new folder, or one of a call with the same settings.
        detector: Finds faces and their landmarks.
        config: Conditions on a face.
        labels: If given, ``masks/NAME.png`` is written for every face.
        images: The photographs below ``source`` to take; all where None.
        landmarks: If given, decides the boxes of eyes and mouth; else labels, else five landmarks.
        processes: That find and align faces; more than one needs a detector on the CPU.
        on_image: Called with the number of photographs done in this call.

    Returns:
        The number of faces written, and why others were left out.

    Raises:
        ConfigError: ``source`` holds no images, ``target`` other files, or labels are missing.
    """
    settings = {
        "source": source.resolve(),
        "config": asdict(config),
        "labels": labels is not None,
        "landmarks": landmarks is not None,
    }
    folder = PreparedFolder.open(target, settings)
    paths = list(list_images(source) if images is None else images)
    if not paths:
        raise ConfigError(f"{source}: holds no images")
    origins = {path: path.relative_to(source).as_posix() for path in paths}
    todo = [path for path in paths if origins[path] not in folder]
    found = _find_faces(PhotoFaceFinder(detector, config), todo, processes=processes)
    try:
        for done, (path, photo) in enumerate(zip(todo, found, strict=True), start=1):
            rows = [
                _write_face(
                    target,
                    f"{folder.kept + index:06d}.png",
                    png,
                    origins[path],
                    face,
                    labels,
                    landmarks,
                )
                for index, (face, png) in enumerate(zip(photo.faces, photo.pngs, strict=True))
            ]
            folder.add(origins[path], rows, photo.dropped)
            on_image(done)
    finally:
        folder.write_table()
    return folder.report()


class _Photographs(Dataset[PhotoFaces]):
    """The faces of photographs, for loader workers."""

    def __init__(self, finder: PhotoFaceFinder, paths: Sequence[Path]) -> None:
        self._finder = finder
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> PhotoFaces:
        return self._finder(self._paths[index])


def _find_faces(
    finder: PhotoFaceFinder, paths: Sequence[Path], *, processes: int
) -> Iterator[PhotoFaces]:
    """Yield the faces of photographs in order, found by ``processes``."""
    if processes == 1:
        return _find_faces_here(finder, paths)
    loader = DataLoader(
        _Photographs(finder, paths),
        batch_size=None,
        num_workers=processes,
        collate_fn=_as_it_is,  # pyright: ignore[reportArgumentType]  (not a list of them)
        worker_init_fn=_use_one_thread,
    )
    return iter(loader)


def _find_faces_here(finder: PhotoFaceFinder, paths: Sequence[Path]) -> Iterator[PhotoFaces]:
    """Do so in this process, with one thread as loader workers have: more would round otherwise."""
    threads = torch.get_num_threads()
    for path in paths:
        torch.set_num_threads(1)
        try:
            faces = finder(path)
        finally:
            torch.set_num_threads(threads)
        yield faces


def _as_it_is(faces: PhotoFaces) -> PhotoFaces:
    return faces


def _use_one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)  # none beside its own; 1 would wait for threads that a fork does not have


def _write_face(
    target: Path,
    name: str,
    png: bytes,
    origin: str,
    face: AlignedPhoto,
    labels: LabelSource | None,
    landmarks: LandmarkSource | None,
) -> list[str]:
    """Write a face and its labels; return its row of the table."""
    write_file(target / name, png)
    mask, labels_hw = "", None
    if labels is not None:
        mask, labels_hw = f"masks/{name}", labels(origin, face)
        (target / "masks").mkdir(exist_ok=True)
        write_file(target / mask, encode_png(labels_hw))
    dense_xy = None if landmarks is None else landmarks(origin, face)
    numbers = [*face.points_xy.ravel(), face.effective_px, face.native_px]
    boxes = _boxes(face, labels_hw, dense_xy)
    return face_cells(name, numbers, source=origin, mask=mask, boxes=boxes)


def face_cells(
    name: str,
    numbers: Iterable[float],
    *,
    source: str,
    mask: str,
    boxes: NDArray[np.float64],
) -> list[str]:
    """Return the row of a face in the table; ``numbers`` are points, effective and native side."""
    cells, corners = ([f"{each:.1f}" for each in part] for part in (numbers, boxes.ravel()))
    return [name, *cells, source, mask, *corners]


def write_file(path: Path, data: bytes) -> None:
    """Write a file of a data set.

    Raises:
        MediaError: It cannot be written.
    """
    with file_errors(path, "write"):
        path.write_bytes(data)


def _boxes(
    face: AlignedPhoto, labels_hw: NDArray[np.uint8] | None, dense_xy: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the boxes of eyes and mouth by the best that is known of a face."""
    if dense_xy is not None:
        return boxes_of_dense_landmarks(dense_xy, side_px=face.crop_hwc.shape[0])
    if labels_hw is not None:
        return boxes_of_labels(labels_hw, face.points_xy)
    return component_boxes(face.points_xy)

"""Throughput of the training loader alone: faces a second, read, degraded and handed out."""

import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, FaceSample, SourceConfig
from vidrestore.training.data.face_table import POINT_COLUMNS
from vidrestore.training.data.preparation.write_shards import write_shards
from vidrestore.training.degradations.recipes.table import RecipeConfig
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.tasks.batches import BatchConfig, face_batches

_FACES = 32


def benchmark_loader(
    image_hwc: np.ndarray, *, workers: tuple[int, ...], batches: int, batch_size: int = 8
) -> dict[str, Any]:
    """Return faces a second from a folder and from shards, by worker count.

    Faces of 512 px, degraded as GFP-GAN is trained.

    Args:
        image_hwc: An RGB image that faces are made of, ``(512, 512, 3)``.
        workers: Worker counts to measure.
        batches: Batches to time, after one to warm up for each worker.
        batch_size: Faces in a batch.
    """
    results: dict[str, Any] = {"batch_size": batch_size}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _write_faces(root / "folder", image_hwc)
        write_shards(root / "folder", root / "shards", faces_per_shard=_FACES // 2)
        for source in ("folder", "shards"):
            faces = FaceDataset(
                DatasetConfig(
                    root=root,
                    sources=(SourceConfig(folder=source),),
                    recipes=(RecipeConfig(name="gfpgan", probability=1.0),),
                ),
                seed=0,
            )
            results[source] = {
                f"{count} workers": _rate(faces, count, batches, batch_size) for count in workers
            }
    return results


def _rate(faces: Dataset[FaceSample], workers: int, batches: int, batch_size: int) -> float:
    loader = face_batches(
        faces,
        BatchConfig(size=batch_size, num_workers=workers),
        first_step=0,
        context=DistributedContext(),
        as_bytes=True,
    )
    for _ in islice(loader, max(1, workers)):
        pass
    started = time.perf_counter()
    for _ in islice(loader, batches):
        pass
    return batches * batch_size / (time.perf_counter() - started)


def _write_faces(folder: Path, image_hwc: np.ndarray) -> None:
    folder.mkdir()
    lines = ["\t".join(["file", *POINT_COLUMNS, "eff_res512"])]
    for index in range(_FACES):
        cv2.imwrite(str(folder / f"{index}.png"), np.roll(image_hwc, index, axis=1)[:, :, ::-1])
        points = (f"{each:.2f}" for each in TEMPLATE_LANDMARKS_XY.ravel())
        lines.append("\t".join([f"{index}.png", *points, "512"]))
    (folder / "faces.tsv").write_text("\n".join(lines) + "\n")

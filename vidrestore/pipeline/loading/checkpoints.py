"""Checksums of the weights that a run uses, for its record and report."""

from pathlib import Path
from typing import TypedDict

from vidrestore.models.registry import RESTORERS
from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS
from vidrestore.storage.checksums import file_sha256
from vidrestore.types import SMALL_CROP_SIZE_PX, TINY_CROP_SIZE_PX
from vidrestore.weights.bundled import bundled_sha256
from vidrestore.weights.cache import find

_DRAWING_PARTS = ("", "generator")
"""Parts of a network in several files: the whole, or the generator."""


class CheckpointFields(TypedDict):
    """Fields of a record and a report: SHA-256 of weights, None where none are used or known."""

    checkpoint_sha256: str | None
    small_checkpoint_sha256: str | None
    tiny_checkpoint_sha256: str | None


def checkpoint_fields(model: str, *, scale: int, detail: float | None) -> CheckpointFields:
    """Return the checksums of the weights of a run. Networks need not be loaded.

    Args:
        model: A name of the tables, or a checkpoint file.
        scale: How many times larger the result is. In an enlarged picture, no face is small.
        detail: Detail of the restorer's weights.
    """
    return CheckpointFields(
        checkpoint_sha256=checkpoint_sha256(model),
        small_checkpoint_sha256=(
            None if scale > 1 else _small_sha256(model, SMALL_CROP_SIZE_PX, detail)
        ),
        tiny_checkpoint_sha256=_small_sha256(model, TINY_CROP_SIZE_PX, detail),
    )


def checkpoint_sha256(model: str) -> str | None:
    """Return the checksum of the weights of ``model`` for crops of full size.

    Of a network in several files, it is that of the part which draws.

    Args:
        model: A name of the tables, or a checkpoint file.

    Returns:
        None where no file of it is here.
    """
    if model in RESTORERS:
        spec = RESTORERS[model]
        if spec.packaged_file is not None:
            return bundled_sha256(spec.packaged_file)
        names = [
            spec.download_names[part] for part in _DRAWING_PARTS if part in spec.download_names
        ]
        path = find(names[0]) if names else None
    elif model in SPANDREL_MODELS:
        path = find(model)
    else:
        path = Path(model).expanduser()
    return None if path is None or not path.is_file() else file_sha256(path)


def _small_sha256(model: str, crop_size_px: int, detail: float | None) -> str | None:
    spec = RESTORERS.get(model)
    for small in () if spec is None else spec.small_networks:
        if small.crop_size_px == crop_size_px and (detail or not small.adds_detail):
            return bundled_sha256(small.packaged_file)
    return None

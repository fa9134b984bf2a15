"""Rows of ``vidrestore info NAME``: a model's license, weights and options."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidrestore.models.registry import RESTORERS, RestorerSpec
from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS
from vidrestore.storage.checksums import file_sha256
from vidrestore.weights import cache as store
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.manifest import weights_entry
from vidrestore.weights.metadata import DEFAULT_DETAIL, default_position, read_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A restorer that ``--model`` takes by name."""

    name: str
    license: str
    weights: Mapping[str, Path | None]
    """Path of each file by name; None for a file that is not downloaded yet."""
    default_detail: float | None = None
    """Default of ``--detail``; None if the model does not support it."""
    metadata: Mapping[str, str] | None = None
    """Metadata of weights inside the package."""
    card: Path | None = None
    """The model card of weights inside the package."""


def model_info(name: str) -> ModelInfo | None:
    """Return the description of a restorer, or None if none has this name.

    Raises:
        WeightsError: A downloaded file has the wrong size.
    """
    if name in SPANDREL_MODELS:
        return ModelInfo(
            name=name, license=weights_entry(name).license, weights={name: store.find(name)}
        )
    spec = RESTORERS.get(name)
    if spec is None:
        return None
    if spec.packaged_file is None:
        paths = {entry: store.find(entry) for entry in spec.download_names.values()}
        return ModelInfo(name=name, license=spec.license, weights=paths)
    card_name = Path(spec.packaged_file).with_suffix(".md").name
    with bundled_file(spec.packaged_file) as path, bundled_file(card_name) as card:
        metadata = read_metadata(path)
        return ModelInfo(
            name=name,
            license=spec.license,
            weights=_packaged_weights(spec),
            default_detail=None if default_position(metadata, path) is None else DEFAULT_DETAIL,
            metadata=metadata,
            card=card,
        )


def _packaged_weights(spec: RestorerSpec) -> dict[str, Path]:
    """Return the path of each file of a model inside the package, by name without suffix."""
    paths: dict[str, Path] = {}
    for name in filter(None, (spec.packaged_file, spec.packaged_small_file)):
        with bundled_file(name) as path:
            paths[path.stem] = path
    return paths


def model_rows(info: ModelInfo) -> Iterator[tuple[str, str]]:
    """Yield the label and value of every line of the printed text."""
    yield "model", info.name
    yield "license", info.license
    for name, path in info.weights.items():
        yield "weights", f"{name}, downloaded on first use" if path is None else str(path)
        if path is not None:
            yield "SHA-256", file_sha256(path)
    if info.default_detail is None:
        yield "--detail", "not supported by this model"
    else:
        yield "--detail", f"0 to 1 (default: {info.default_detail:g})"
    for label in ("recipe", "steps"):
        if info.metadata is not None and label in info.metadata:
            yield label, info.metadata[label]
    if info.card is not None:
        yield "card", str(info.card)


def model_json(info: ModelInfo) -> dict[str, object]:
    """Return the values for JSON."""
    paths = {name: None if path is None else str(path) for name, path in info.weights.items()}
    present = {name: path for name, path in info.weights.items() if path is not None}
    return {
        "model": info.name,
        "license": info.license,
        "weights": paths,
        "sha256": {name: file_sha256(path) for name, path in present.items()},
        "default_detail": info.default_detail,
        "metadata": dict(info.metadata or {}),
        "card": None if info.card is None else str(info.card),
    }

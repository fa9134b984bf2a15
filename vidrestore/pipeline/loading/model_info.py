"""Facts about a restorer that ``--model`` takes by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidrestore.models.registry import RESTORERS, RestorerSpec
from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS
from vidrestore.weights import cache
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
            name=name, license=weights_entry(name).license, weights={name: cache.find(name)}
        )
    spec = RESTORERS.get(name)
    if spec is None:
        return None
    if spec.packaged_file is None:
        paths = {entry: cache.find(entry) for entry in spec.download_names.values()}
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


def all_models() -> list[ModelInfo]:
    """Return the descriptions of all restorers.

    Raises:
        WeightsError: A downloaded file has the wrong size.
    """
    names = (*RESTORERS, *SPANDREL_MODELS)
    return [info for info in map(model_info, names) if info is not None]


def _packaged_weights(spec: RestorerSpec) -> dict[str, Path]:
    """Return the path of each file of a model inside the package, by name without suffix."""
    paths: dict[str, Path] = {}
    for name in spec.packaged_files:
        with bundled_file(name) as path:
            paths[path.stem] = path
    return paths

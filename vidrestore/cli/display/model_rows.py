"""Rows of ``vidrestore info NAME``: a model's license, weights and options."""

from collections.abc import Iterator

from vidrestore.pipeline.loading.model_info import ModelInfo
from vidrestore.storage.checksums import file_sha256


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

"""Open a checkpoint as untrusted input and load it whole, or not at all."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.weights.interpolation import blended, has_difference
from vidrestore.weights.metadata import default_detail, read_metadata
from vidrestore.weights.model_options import reject_model_option

_WRAPPERS = (
    "params_ema", "params-ema", "params", "state_dict", "model_state_dict", "net_state_dict",
    "model", "net",
)  # fmt: skip
_DATA_PARALLEL = "module."
_EXAMPLES = 3
_NOT_A_CHECKPOINT = "not a checkpoint, or a truncated or damaged one; fetch or copy it again"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The tensors of a checkpoint."""

    state: dict[str, Tensor]
    """By name, on the CPU."""
    detail: float | None = None
    """Position between the checkpoint's two ends, 0 (fidelity) to 1 (detail); None where it has one
    end."""


def load_weights(module: nn.Module, path: Path, *, detail: float | None = None) -> float | None:
    """Load the tensors of ``path`` into ``module``, all of them, in its own precision.

    PyTorch files (read with ``weights_only``: no code of the file runs) and safetensors
    are told apart by content. The moving average is taken where a file holds one. If
    this raises, ``module`` is as it was.

    Args:
        module: The network.
        path: The checkpoint.
        detail: Where between its two ends; None is the file's own default.

    Returns:
        Where between its two ends; None where the file has one end.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or holds other tensors.
        ConfigError: ``detail`` is not 0 to 1, or the file has one end.
    """
    weights = read_weights(path, detail=detail)
    load_state(module, weights.state, path)
    return weights.detail


def load_state(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors that were read from ``path`` into ``module``, all of them.

    Raises:
        WeightsError: They are not the tensors of ``module``, which then is as it was.
    """
    _check_fit(module.state_dict(), state, path, type(module).__name__)
    module.load_state_dict(state, strict=True)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a checkpoint, on the CPU, without wrappers and prefixes.

    Of one with two ends, the network at the file's own default.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or is not a checkpoint.
    """
    return read_weights(path).state


def read_weights(path: Path, *, detail: float | None = None) -> Weights:
    """Return a checkpoint's network at ``detail``, its default where None.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or is not a checkpoint.
        ConfigError: ``detail`` is not 0 to 1, or the file has one end.
    """
    state = _read_tensors(path)
    default = default_detail(read_metadata(path), path) if has_difference(state) else None
    if default is None:
        reject_model_option("detail", detail, model=str(path))
        return Weights(state=state)
    place = default if detail is None else detail
    return Weights(state=blended(state, place, path), detail=place)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise WeightsError(f"{path}: there is no such checkpoint; check the name")
    if not path.is_file():
        raise WeightsError(f"{path}: not a file; name the checkpoint itself")
    state = _unwrapped(_read(path), path)
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsError(f"{path}: not finite: {_some(broken)}; the checkpoint is of no use")
    return state


def _read(path: Path) -> object:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    # A safetensors file is the length of its header, then the header, a JSON object.
    is_safetensors = start[8:9] == b"{" or path.suffix == ".safetensors"
    try:
        if is_safetensors:
            return load_file(path)  # pyright: ignore[reportUnknownVariableType]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on how the file was pickled
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "Unsupported operand" in str(error):
            raise WeightsError(f"{path}: {_NOT_A_CHECKPOINT}") from error
        raise WeightsError(
            f"{path}: refused, because it holds Python objects that could run code; "
            "get it as safetensors or as a plain state dict"
        ) from error
    except Exception as error:  # an untrusted file can fail in any way it likes
        raise WeightsError(f"{path}: {_NOT_A_CHECKPOINT}") from error


def _unwrapped(loaded: object, path: Path) -> dict[str, Tensor]:
    while isinstance(loaded, Mapping):
        mapping = cast("Mapping[object, object]", loaded)
        inner = [mapping[key] for key in _WRAPPERS if isinstance(mapping.get(key), Mapping)]
        if not inner:
            return _tensors(mapping, path)
        loaded = inner[0]
    raise WeightsError(f"{path}: holds a {type(loaded).__name__}, not a table of named tensors")


def _tensors(mapping: Mapping[object, object], path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for key, value in mapping.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path}: {key!r} is a {type(value).__name__}, not a tensor; "
                f"tensors are looked for at the top and under {', '.join(_WRAPPERS)}"
            )
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise WeightsError(f"{path}: {key!r} is not a dense tensor; get a plain checkpoint")
        state[key] = value
    if not state:
        raise WeightsError(f"{path}: holds no tensors")
    if all(key.startswith(_DATA_PARALLEL) for key in state):
        state = {key.removeprefix(_DATA_PARALLEL): value for key, value in state.items()}
    return state


def _check_fit(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, network: str
) -> None:
    parts: list[str] = []
    if missing := [key for key in wanted if key not in found]:
        parts.append(f"{len(missing)} missing ({_some(missing)})")
    if extra := [key for key in found if key not in wanted]:
        parts.append(f"{len(extra)} not expected ({_some(extra)})")
    shapes = [
        f"{key} is {tuple(found[key].shape)}, not {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in found and found[key].shape != tensor.shape
    ]
    if shapes:
        parts.append(f"{len(shapes)} of another shape ({_some(shapes)})")
    if parts:
        raise WeightsError(
            f"{path}: does not fit {network}: tensors: {'; '.join(parts)}; "
            "is it a checkpoint of another network?"
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_EXAMPLES]) + (", ..." if len(listed) > _EXAMPLES else "")

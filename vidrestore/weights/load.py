"""Opens checkpoints as untrusted input, and loads all of their tensors or none."""

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
from vidrestore.weights.interpolation import has_two_ends, interpolate
from vidrestore.weights.metadata import (
    DEFAULT_DETAIL,
    default_position,
    position_at,
    read_metadata,
)
from vidrestore.weights.model_options import DETAIL, reject_model_option

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
    """Value of ``--detail``, between the checkpoint's two sets of weights, 0 (fidelity) to 1
    (detail); None if it has one."""


def load_weights(module: nn.Module, path: Path, *, detail: float | None = None) -> float | None:
    """Load the tensors of ``path`` into ``module``, all of them, in its own precision.

    PyTorch files (read with ``weights_only``, so that no code in the file runs) and safetensors
    are distinguished by content. If a file contains a moving average, that is loaded. If this
    raises, ``module`` is unchanged.

    Args:
        module: The network.
        path: The checkpoint.
        detail: Between its two sets of weights; None is ``DEFAULT_DETAIL``.

    Returns:
        The detail in use; None if the file has one set of weights.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or holds other tensors.
        ConfigError: ``detail`` is out of range, or the file has one set of weights.
    """
    weights = read_weights(path, detail=detail)
    load_state(module, weights.state, path)
    return weights.detail


def load_state(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors that were read from ``path`` into ``module``, all of them.

    Raises:
        WeightsError: They are not the tensors of ``module``, which is unchanged then.
    """
    _check_fit(module.state_dict(), state, path, type(module).__name__)
    module.load_state_dict(state, strict=True)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a checkpoint, on the CPU, without wrappers and prefixes.

    Two sets of weights are interpolated by the file's default.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or is not a checkpoint.
    """
    return read_weights(path).state


def read_weights(path: Path, *, detail: float | None = None, model: str | None = None) -> Weights:
    """Return the tensors of a checkpoint, interpolated at ``detail``; None is ``DEFAULT_DETAIL``.

    Args:
        path: The checkpoint.
        detail: Between its two sets of weights; None is ``DEFAULT_DETAIL``.
        model: What messages about ``detail`` name; the path where None.

    Raises:
        WeightsError: The file is missing, unsafe, damaged, or is not a checkpoint.
        ConfigError: ``detail`` is out of range, or the file has one set of weights.
    """
    state = _read_tensors(path)
    default = default_position(read_metadata(path), path) if has_two_ends(state) else None
    if default is None:
        reject_model_option("detail", detail, model=model or str(path))
        return Weights(state=state)
    detail = DEFAULT_DETAIL if detail is None else detail
    DETAIL.check(detail)
    return Weights(state=interpolate(state, position_at(detail, default), path), detail=detail)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise WeightsError(f"{path}: no such file; check the name")
    if not path.is_file():
        raise WeightsError(f"{path}: not a file; name the checkpoint itself")
    state = _unwrap(_read(path), path)
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsError(f"{path}: not finite: {_examples(broken)}; get another copy")
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
            warnings.simplefilter("ignore")  # warnings about how the file was pickled
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


def _unwrap(loaded: object, path: Path) -> dict[str, Tensor]:
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
                f"tensors must be at the top level or under {', '.join(_WRAPPERS)}"
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
    expected: Mapping[str, Tensor], actual: Mapping[str, Tensor], path: Path, network: str
) -> None:
    parts: list[str] = []
    if missing := [key for key in expected if key not in actual]:
        parts.append(f"{len(missing)} missing ({_examples(missing)})")
    if extra := [key for key in actual if key not in expected]:
        parts.append(f"{len(extra)} not expected ({_examples(extra)})")
    shapes = [
        f"{key} is {tuple(actual[key].shape)}, not {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in actual and actual[key].shape != tensor.shape
    ]
    if shapes:
        parts.append(f"{len(shapes)} of another shape ({_examples(shapes)})")
    if parts:
        raise WeightsError(
            f"{path}: does not fit {network}: tensors: {'; '.join(parts)}; "
            "is it a checkpoint of another network?"
        )


def _examples(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_EXAMPLES]) + (", ..." if len(listed) > _EXAMPLES else "")

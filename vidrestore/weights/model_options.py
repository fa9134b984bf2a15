"""Knobs that only some models have: a number from 0 to 1 each, refused by all others."""

from collections.abc import Mapping
from types import MappingProxyType

from vidrestore.errors import ConfigError

MODEL_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"fidelity": "codeformer", "detail": "weights with two ends"}
)
"""Name of the option -> what has it."""


def check_knob(name: str, value: float | None) -> None:
    """Check the range of a knob; None is the model's own choice.

    Raises:
        ConfigError: It is not 0 to 1.
    """
    if value is not None and not 0 <= value <= 1:
        raise ConfigError(f"{name} must be 0 to 1, got {value}")


def reject_model_option(name: str, value: float | None, *, model: str) -> None:
    """Check that a knob was left alone.

    Args:
        name: Of ``MODEL_OPTIONS``.
        value: What was asked for.
        model: Network or file that has no such knob.

    Raises:
        ConfigError: It was not.
    """
    if value is not None:
        raise ConfigError(f"--{name} is for {MODEL_OPTIONS[name]} only, {model} has none")

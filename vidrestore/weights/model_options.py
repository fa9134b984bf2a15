"""Settings that only some models support; all others refuse them."""

from collections.abc import Mapping
from types import MappingProxyType

from vidrestore.errors import ConfigError
from vidrestore.settings import RestoreSettings, setting_of

MODEL_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"fidelity": "codeformer", "detail": "models with two sets of weights"}
)
"""Name of the setting -> what supports it."""


def check_model_option(name: str, value: float | None, *, label: str | None = None) -> None:
    """Check the range of a model option.

    Args:
        name: A key of ``MODEL_OPTIONS``.
        value: Its value; None leaves the choice to the model.
        label: What the message calls it, if not by its name.

    Raises:
        ConfigError: The value is out of range.
    """
    setting_of(RestoreSettings, name).check(value, name=label)


def reject_model_option(name: str, value: float | None, *, model: str) -> None:
    """Check that an option is not set for a model that does not support it.

    Args:
        name: A key of ``MODEL_OPTIONS``.
        value: Its value; None if it is not set.
        model: The model or checkpoint file, for the message.

    Raises:
        ConfigError: It is set.
    """
    if value is not None:
        raise ConfigError(
            f"{model} does not support --{name}, which is for {MODEL_OPTIONS[name]} only; "
            "leave it out"
        )

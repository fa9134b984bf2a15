"""Settings that only some models support; all others refuse them."""

from collections.abc import Mapping
from types import MappingProxyType

from vidrestore.errors import ConfigError
from vidrestore.settings import RestoreSettings, setting_of

MODEL_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"fidelity": "codeformer", "detail": "models with two sets of weights"}
)
"""Name of the setting -> what supports it."""
DETAIL = setting_of(RestoreSettings, "detail")
"""The setting that positions of weights between two ends are checked by."""


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

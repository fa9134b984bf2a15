"""The settings of a restoration, its stages, and its report.

Names are loaded when first used, so that the settings do not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.pipeline.report import RestoreReport
    from vidrestore.pipeline.settings import RestoreSettings

__all__ = ["RestoreReport", "RestoreSettings"]

_HOME = {
    "RestoreReport": "report",
    "RestoreSettings": "settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

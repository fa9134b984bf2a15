"""The settings of a restoration, its stages, and its report.

Names are loaded when first used, so that the settings do not need torch.
"""

from typing import TYPE_CHECKING

from vidrestore.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from vidrestore.pipeline.report import RestoreReport

__all__ = [
    "RestoreReport",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "RestoreReport": "report",
    },
)

"""The settings of a restoration, its stages, and its report."""

from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.settings import RestoreSettings

__all__ = ["RestoreReport", "RestoreSettings"]

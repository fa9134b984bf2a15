"""Scripts as modules; of the one that checks golden files, its filling rule and its inputs."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PUBLISHED_GOLDEN = GOLDEN / "published"
"""What the published code gives in released sizes, at every few samples."""


def load_script(path: Path) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


published: Any = load_script(ROOT / "scripts" / "compare_with_published.py")


def fill_weights(network: nn.Module, rule: str) -> nn.Module:
    """Return ``network`` with weights drawn from the names of its tensors, in evaluation mode."""
    published.fill(network, rule)
    return network.eval()


def pictures(count: int, side: int, *, channels: int = 3) -> Tensor:
    """Return smooth images ``(count, channels, side, side)`` in [-0.8, 0.8]."""
    return torch.cat([published.smooth_picture(channels, side, seed) for seed in range(count)])


def draws(seed: int = 0) -> torch.Generator:
    """Return a source of random numbers."""
    return torch.Generator().manual_seed(seed)


def changed_tensors(network: nn.Module, before: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors of ``network`` that differ from ``before``."""
    now = network.state_dict()
    return [key for key in before if not torch.equal(now[key], before[key])]


def snapshot_state(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of all tensors of ``network``."""
    return {key: tensor.clone() for key, tensor in network.state_dict().items()}

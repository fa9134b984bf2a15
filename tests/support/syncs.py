"""Counts what makes the host wait for a device, and how many operations run."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = frozenset(
    {"_local_scalar_dense", "nonzero", "masked_select", "item", "unique", "_unique2", "equal"}
)
"""Operations that read a value of the device on the host."""


class WaitCounter(TorchDispatchMode):
    """Counts operations inside the block, and those of them for which the host must wait."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = str(func.overloadpacket.__name__)
        self.operations[name] += 1
        result = func(*args, **(kwargs or {}))
        if name in WAITING or (name == "index" and _by_truth(args)) or _to_host(args, result):
            self.waits[name] += 1
        return result


def _by_truth(args: tuple[Any, ...]) -> bool:
    """Whether a tensor is indexed by booleans, whose number must be known on the host."""
    indexes = [index for index in args[1] if isinstance(index, Tensor)]
    return any(index.dtype in (torch.bool, torch.uint8) for index in indexes)


def _to_host(args: tuple[Any, ...], result: Any) -> bool:
    """Whether the result is on the CPU though something it was made from is on a device."""
    made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    given = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
    on_host = any(leaf.device.type == "cpu" for leaf in made)
    return on_host and any(leaf.device.type != "cpu" for leaf in given)


def counted(run: Callable[[], object]) -> WaitCounter:
    """Return what ``run`` does."""
    with WaitCounter() as counter:
        run()
    return counter


@contextmanager
def no_waits() -> Generator[None]:
    """Raise an error where the host waits for the GPU."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")

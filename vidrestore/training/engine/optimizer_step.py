"""One update of one part: losses to gradients to a step, in any precision, on any device."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vidrestore.errors import NonFiniteLossError
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.train_state import Part

M = TypeVar("M")

Terms = Mapping[str, Tensor]
"""Name of a loss term -> its weighted value, a scalar with gradient."""


class Updater:
    """Applies updates to parts.

    Args:
        device: Where the parts are.
        dtype: Of the forward passes; weights and their updates are float32.
        clip_norm: Longest gradient of a part; longer ones are shortened. Infinity never does.
        world: The processes of the run.
    """

    def __init__(
        self,
        *,
        device: torch.device,
        dtype: torch.dtype,
        clip_norm: float = float("inf"),
        world: DistributedContext | None = None,
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._clip_norm = clip_norm
        self._world = world or DistributedContext()
        # float16 alone has too few exponents for gradients; bfloat16 has those of float32.
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._scaled = dtype is torch.float16

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of forward passes."""
        if self._dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._dtype)

    def apply(
        self,
        name: str,
        part: Part,
        micro_batches: Sequence[M],
        terms_of: Callable[[M], Terms],
        moment: Moment,
    ) -> dict[str, float]:
        """Update ``part`` once with the mean gradient over micro-batches.

        Args:
            name: Of the part, for errors and the loss scale.
            part: To update; its moving average is the caller's to update.
            micro_batches: Of equal size; their gradients are accumulated.
            terms_of: Gives the loss terms of one of them; its forward passes run in
                ``autocast``.
            moment: The step, which the learning rate depends on.

        Returns:
            The mean of every term over micro-batches and processes.

        Raises:
            NonFiniteLossError: A term or a gradient is not finite; nothing was applied.
        """
        part.set_lr(moment)
        part.optimiser.zero_grad(set_to_none=True)
        scaler = self._scaler(name)
        sums: dict[str, Tensor] = {}
        for micro in micro_batches:
            with self.autocast():
                terms = terms_of(micro)
            _check_terms(terms, name, moment.step)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
            scaler.scale(loss / len(micro_batches)).backward()
            for key, term in terms.items():
                sums[key] = sums.get(key, torch.zeros_like(term.detach().float())) + term.detach()
        self._step(name, part, scaler, moment.step)
        means = {key: self._world.mean(each / len(micro_batches)) for key, each in sums.items()}
        return {key: float(each) for key, each in means.items()}

    def _step(self, name: str, part: Part, scaler: torch.amp.GradScaler, step: int) -> None:
        named = list(part.trained())
        self._world.average_gradients([parameter for _, parameter in named])
        scaler.unscale_(part.optimiser)
        norm = nn.utils.clip_grad_norm_([each for _, each in named], self._clip_norm)
        # A loss scale that was too high shows as overflow: the scaler leaves that step out.
        if not self._scaled and not bool(torch.isfinite(norm)):
            culprit = next(
                key
                for key, each in named
                if each.grad is not None and not bool(torch.isfinite(each.grad).all())
            )
            raise NonFiniteLossError(
                f"step {step}: {name}: the gradient of {culprit} is not finite"
            )
        scaler.step(part.optimiser)
        scaler.update()

    def _scaler(self, name: str) -> torch.amp.GradScaler:
        if name not in self._scalers:
            self._scalers[name] = torch.amp.GradScaler(self._device.type, enabled=self._scaled)
        return self._scalers[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the loss scales."""
        return {name: scaler.state_dict() for name, scaler in self._scalers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        for name, scale in state.items():
            self._scaler(name).load_state_dict(scale)


def _check_terms(terms: Terms, part: str, step: int) -> None:
    if not terms:
        raise ValueError(f"{part}: an update without a loss term")
    for key, term in terms.items():
        if not bool(torch.isfinite(term)):
            raise NonFiniteLossError(
                f"step {step}: {part}: the loss term {key!r} is {term.item()}; nothing was applied"
            )

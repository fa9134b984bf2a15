"""Interface to workers in other processes, on this machine or on others."""

from collections.abc import Sequence
from typing import Protocol

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.orders import Answer, Order


class LostError(WorkerError):
    """A worker is lost: its process or its machine died."""


class Hand(Protocol):
    """One worker."""

    def begin(self, order: Order) -> None:
        """Send an order and return at once; the worker abandons its current order."""
        ...

    def go_on(self) -> None:
        """Ask for the next answer and return at once."""
        ...

    def answer(self) -> Answer:
        """Wait for the answer and return it.

        Raises:
            LostError: The worker has died.
        """
        ...

    def dismiss(self) -> None:
        """End its process."""
        ...


class Crew(Protocol):
    """Starts workers."""

    @property
    def size(self) -> int:
        """Most workers at once."""
        ...

    @property
    def threads(self) -> int:
        """Number of threads that each worker has for its networks."""
        ...

    def hire(self) -> Hand:
        """Return a new worker, which may take a while to answer for the first time.

        Raises:
            WorkerError: No worker can be started.
        """
        ...

    def first_to_answer(self, hands: Sequence[Hand], seconds: float) -> Hand | None:
        """Return a worker that has answered; None if none has within ``seconds``."""
        ...

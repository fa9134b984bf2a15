"""Workers in other processes, wherever these are: what an engine needs of them."""

from collections.abc import Sequence
from typing import Protocol

from vidrestore.errors import WorkerError
from vidrestore.jobs.orders import Answer, Order


class LostError(WorkerError):
    """A worker is gone: its process died, or its machine."""


class Hand(Protocol):
    """One worker."""

    def begin(self, order: Order) -> None:
        """Send an order, and return at once; what it was doing is given up."""
        ...

    def go_on(self) -> None:
        """Ask for the next answer, and return at once."""
        ...

    def answer(self) -> Answer:
        """Return what it answers; waits for it.

        Raises:
            LostError: It is gone.
        """
        ...

    def dismiss(self) -> None:
        """End its process."""
        ...


class Crew(Protocol):
    """Hires workers."""

    @property
    def size(self) -> int:
        """How many there may be at once."""
        ...

    @property
    def threads(self) -> int:
        """How many threads each has for its networks."""
        ...

    def hire(self) -> Hand:
        """Return a new worker, which may take a while to answer for the first time.

        Raises:
            WorkerError: None is to be had.
        """
        ...

    def first_to_answer(self, hands: Sequence[Hand], seconds: float) -> Hand | None:
        """Return one that has answered; None where none has within so many seconds."""
        ...

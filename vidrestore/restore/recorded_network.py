"""A network whose kernels are recorded once for each shape and replayed: a CUDA graph.

Python starts a network's kernels one by one, which takes longer than a GPU needs for small ones.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn

from vidrestore.devices import out_of_memory
from vidrestore.models.common.outputs import RestorerOutput

Run = Callable[[Tensor], RestorerOutput]
_WARM_UPS = 2
"""Runs before recording, in which libraries allocate and choose their algorithms."""


def record_graph(network: nn.Module, sample_nchw: Tensor) -> Run:  # pragma: no cover - needs a GPU
    """Record a network on inputs of the shape of a sample on a GPU; return how to replay it.

    Raises:
        RuntimeError: The network does what cannot be recorded, or memory runs out.
    """
    given = sample_nchw.clone()
    current, beside = torch.cuda.current_stream(given.device), torch.cuda.Stream(given.device)
    beside.wait_stream(current)
    with torch.cuda.stream(beside):
        for _ in range(_WARM_UPS):
            network(given)
    current.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    # Other threads go on using the device.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        made: RestorerOutput = network(given)

    def replay(image_nchw: Tensor) -> RestorerOutput:
        given.copy_(image_nchw)
        graph.replay()
        # The next replay overwrites what was made.
        parsing = None if made.parsing is None else made.parsing.clone()
        return RestorerOutput(image=made.image.clone(), parsing=parsing)

    return replay


class RecordedNetwork(nn.Module):
    """Runs a restorer's network from records, one for each shape of its input."""

    def __init__(
        self, network: nn.Module, record: Callable[[nn.Module, Tensor], Run] = record_graph
    ) -> None:
        """Wrap a frozen network.

        Args:
            network: Its forward takes one tensor and returns ``RestorerOutput``.
            record: Returns how the network is run on inputs of a sample's shape.
        """
        super().__init__()
        self.network = network
        self.failure: str | None = None
        """Why the network runs step by step after all; None if it does not."""
        self._record = record
        self._records: dict[Hashable, Run] = {}

    def forward(self, image_nchw: Tensor) -> RestorerOutput:
        """Return the image and the parsing of the network's output."""
        if self.failure is not None:
            return self.network(image_nchw)
        shape = tuple(image_nchw.shape)
        if shape not in self._records:
            try:
                self._records[shape] = self._record(self.network, image_nchw)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                self.failure = str(error).strip().partition("\n")[0]
                return self.network(image_nchw)
        return self._records[shape](image_nchw)

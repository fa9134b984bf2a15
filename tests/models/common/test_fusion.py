"""Values that are computed from weights at every use, or once in a network that is only used."""

import copy

import torch
from torch import Tensor, nn

from vidrestore.models.common.fusion import Fusible, fuse


class Doubling(Fusible[Tensor]):
    """Applies twice its weight, and counts how often it computed that."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.computed = 0

    def compute_fused(self) -> Tensor:
        self.computed += 1
        return self.weight * 2

    def forward(self, factor: float = 1.0) -> Tensor:
        return self.fused() * factor


def test_a_network_that_may_be_trained_computes_at_every_use() -> None:
    module = Doubling()
    module().sum().backward()
    assert module.weight.grad is not None
    with torch.no_grad():
        module.weight.add_(1)
        assert torch.equal(module(), module.weight * 2)
    assert module.computed == 2


@torch.inference_mode()
def test_a_fused_network_computes_once() -> None:
    network = nn.Sequential(Doubling(), Doubling())
    module = network[1]
    assert isinstance(module, Doubling)
    expected = module().clone()
    fuse(network)
    assert module.computed == 1
    for _ in range(3):
        assert torch.equal(module(), expected)
    assert module.computed == 2


@torch.inference_mode()
def test_fusing_again_uses_the_weights_of_now() -> None:
    module = Doubling()
    fuse(module)
    module()
    module.weight.add_(1)
    fuse(module)
    assert torch.equal(module(), module.weight * 2)


@torch.no_grad()
def test_a_fused_network_keeps_its_state_and_can_be_copied() -> None:
    module = Doubling()
    keys = [*module.state_dict()]
    fuse(module)
    module()
    assert [*module.state_dict()] == keys
    assert torch.equal(copy.deepcopy(module)(), module())

"""Values kept while the tensors that they come from stay as they are."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.models.common.weight_cache import WeightCache


class Doubling(nn.Module):
    """Keeps twice its weight, and counts how often it computed that."""

    def __init__(self, *, trains: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]), requires_grad=trains)
        self.derived = WeightCache[Tensor]()
        self.computed = 0

    def forward(self) -> Tensor:
        def compute() -> Tensor:
            self.computed += 1
            return self.weight * 2

        return self.derived.of([self.weight], compute)


def test_a_value_is_computed_once_while_the_weights_do_not_change() -> None:
    module = Doubling()
    first = module()
    with torch.no_grad():
        assert module() is first
    with torch.inference_mode():
        assert module() is first
    assert module.computed == 1


def add_one(module: Doubling) -> None:
    with torch.no_grad():
        module.weight.add_(1)


def write_an_element(module: Doubling) -> None:
    module.weight[0] = 7.0


def write_a_detached_view(module: Doubling) -> None:
    module.state_dict()["weight"].view(2, 1).mul_(3)


def load(module: Doubling) -> None:
    module.load_state_dict({"weight": torch.tensor([5.0, 6.0])})


def load_assigning(module: Doubling) -> None:
    module.load_state_dict({"weight": torch.tensor([5.0, 6.0])}, assign=True)


def cast(module: Doubling) -> None:
    module.to(torch.bfloat16)


def cast_and_back(module: Doubling) -> None:
    with torch.no_grad():
        module.weight.fill_(1.001)
    module()
    module.to(torch.bfloat16).to(torch.float32)


def move(module: Doubling) -> None:
    module.weight.data = torch.tensor([8.0, 9.0])


def replace(module: Doubling) -> None:
    module.weight = nn.Parameter(torch.tensor([8.0, 9.0]), requires_grad=False)


@pytest.mark.parametrize(
    "change",
    [
        add_one,
        write_an_element,
        write_a_detached_view,
        load,
        load_assigning,
        cast,
        cast_and_back,
        move,
        replace,
    ],
)
def test_a_change_of_the_weights_updates_the_value(change: Callable[[Doubling], None]) -> None:
    module = Doubling()
    before = module().clone()
    change(module)
    assert not torch.equal(module().float(), before) or module().dtype != before.dtype
    assert torch.equal(module(), module.weight * 2)


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("looked_at", ["before training", "between steps", "while frozen"])
def test_optimizer_steps_update_the_value(fused: bool, looked_at: str) -> None:
    module = Doubling(trains=looked_at != "before training")
    if looked_at == "before training":
        module()
        module.requires_grad_(True)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1, fused=fused)
    for _ in range(2):
        if looked_at == "between steps":
            with torch.no_grad():
                module()
        if looked_at == "while frozen":
            module.requires_grad_(False)
            module()
            module.requires_grad_(True)
        optimizer.zero_grad()
        module().square().sum().backward()
        optimizer.step()
    module.requires_grad_(False)
    assert torch.equal(module(), module.weight * 2)


def test_values_of_trainable_weights_are_not_cached() -> None:
    module = Doubling(trains=True)
    first, second = module(), module()
    assert module.computed == 2
    (first + second).sum().backward()
    assert module.weight.grad is not None
    assert module.weight.grad.tolist() == [4.0, 4.0]


def test_a_value_cached_in_inference_mode_works_with_gradients() -> None:
    module = Doubling()
    with torch.inference_mode():
        module()
    given = torch.ones(2, requires_grad=True)
    (module() * given).sum().backward()
    assert module.computed == 1
    assert given.grad is not None
    assert given.grad.tolist() == [2.0, 4.0]


def test_values_of_inference_tensors_are_not_cached() -> None:
    with torch.inference_mode():
        module = Doubling()
        module()
        module.weight.add_(1)
        assert torch.equal(module(), module.weight * 2)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]
)
def test_a_copied_module_has_its_own_cache(copied: Callable[[Doubling], Doubling]) -> None:
    module = Doubling()
    before = module().clone()
    other = copied(module)
    add_one(module)
    assert torch.equal(other(), before)
    assert other() is not module()

"""Fixtures for all tests."""

import os

# Before torch is loaded, as the command does it: waiting threads must not starve the others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def cuda() -> torch.device:
    """A GPU; the test is skipped without one, or fails where one is required."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if os.environ.get("VIDRESTORE_REQUIRE_CUDA"):
        pytest.fail("VIDRESTORE_REQUIRE_CUDA is set, but torch finds no GPU")
    pytest.skip("no GPU here")


@pytest.fixture(scope="module")
def use_fake_restorer() -> Iterator[None]:
    """All tests of the module restore with a network that costs nothing."""
    from support.fake_restorer import load_fake_restorer

    from vidrestore.pipeline import setup

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "load_restorer", load_fake_restorer)
        yield

"""Freed memory is kept if the C library has a setting for it."""

import subprocess
import sys

import pytest

from vidrestore import malloc_tuning

FRESH_PAGES = """
import resource, sys
import numpy as np
from vidrestore.malloc_tuning import keep_freed_memory

told = keep_freed_memory() if sys.argv[1] == "kept" else False
def faults():
    for _ in range(3):
        np.ones(16 << 20, dtype=np.float32)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
faults()
before = faults()
print(told, faults() - before)
"""


def faults(how: str) -> tuple[bool, int]:
    child = subprocess.run(
        [sys.executable, "-c", FRESH_PAGES, how], check=True, capture_output=True, text=True
    )
    message, count = child.stdout.split()
    return message == "True", int(count)


def test_large_blocks_are_reused_without_fresh_pages() -> None:
    message, kept = faults("kept")
    if not message:
        pytest.skip("this C library has no mallopt")
    _, given_back = faults("given back")
    assert kept < 100
    assert given_back > 10 * max(kept, 1)


def test_on_other_systems_than_linux_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc_tuning.sys, "platform", "darwin")
    assert malloc_tuning.keep_freed_memory() is False

"""Damage of the kinds that disks, downloads and programs do."""

from collections.abc import Callable

import numpy as np

_HEADER_BYTES = 600
_LENGTHS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01")


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return ``data`` with one to three kinds of damage, by chance alone of ``rng``."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if len(damaged) < 2:
            break
        _KINDS[int(rng.integers(len(_KINDS)))](damaged, rng)
    return bytes(damaged)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Return a place: in the header as often as anywhere else."""
    end = min(len(data), _HEADER_BYTES) if rng.random() < 0.5 else len(data)
    return int(rng.integers(end))


def _flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 20))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _overwrite(data: bytearray, rng: np.random.Generator) -> None:
    at, count = _place(data, rng), int(rng.integers(1, 400))
    stop = min(len(data), at + count)
    data[at:stop] = rng.bytes(stop - at)


def _zero(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    stop = min(len(data), at + int(rng.integers(1, 2000)))
    data[at:stop] = bytes(stop - at)


def _cut_off(data: bytearray, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def _cut_out(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 1000))]


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 1000))]


def _swap(data: bytearray, rng: np.random.Generator) -> None:
    size = int(rng.integers(1, max(2, len(data) // 4)))
    one, two = _place(data, rng), _place(data, rng)
    size = min(size, len(data) - one, len(data) - two, abs(one - two))
    one_block, two_block = data[one : one + size], data[two : two + size]
    data[one : one + size], data[two : two + size] = two_block, one_block


def _falsify_length(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    value = _LENGTHS[int(rng.integers(len(_LENGTHS)))]
    size = int(rng.choice([1, 2, 4]))
    stop = min(len(data), at + size)
    data[at:stop] = value[: stop - at]


_KINDS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip_bits,
    _overwrite,
    _zero,
    _cut_off,
    _cut_out,
    _repeat,
    _swap,
    _falsify_length,
)

"""The kinds of damage that disks, downloads and programs do to files."""

from collections.abc import Callable

import numpy as np

_HEADER_BYTES = 600
_LENGTHS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01")


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return ``data`` with one to three kinds of damage, drawn from ``rng``."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if len(damaged) < 2:
            break
        _MUTATIONS[int(rng.integers(len(_MUTATIONS)))](damaged, rng)
    return bytes(damaged)


def _offset(data: bytearray, rng: np.random.Generator) -> int:
    """Return an offset: half of them are in the header."""
    end = min(len(data), _HEADER_BYTES) if rng.random() < 0.5 else len(data)
    return int(rng.integers(end))


def _flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 20))):
        data[_offset(data, rng)] ^= 1 << int(rng.integers(8))


def _overwrite(data: bytearray, rng: np.random.Generator) -> None:
    start, count = _offset(data, rng), int(rng.integers(1, 400))
    stop = min(len(data), start + count)
    data[start:stop] = rng.bytes(stop - start)


def _zero(data: bytearray, rng: np.random.Generator) -> None:
    start = _offset(data, rng)
    stop = min(len(data), start + int(rng.integers(1, 2000)))
    data[start:stop] = bytes(stop - start)


def _cut_off(data: bytearray, rng: np.random.Generator) -> None:
    del data[_offset(data, rng) :]


def _cut_out(data: bytearray, rng: np.random.Generator) -> None:
    start = _offset(data, rng)
    del data[start : start + int(rng.integers(1, 1000))]


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    start = _offset(data, rng)
    data[start:start] = data[start : start + int(rng.integers(1, 1000))]


def _swap(data: bytearray, rng: np.random.Generator) -> None:
    size = int(rng.integers(1, max(2, len(data) // 4)))
    first, second = _offset(data, rng), _offset(data, rng)
    size = min(size, len(data) - first, len(data) - second, abs(first - second))
    first_block, second_block = data[first : first + size], data[second : second + size]
    data[first : first + size], data[second : second + size] = second_block, first_block


def _falsify_length(data: bytearray, rng: np.random.Generator) -> None:
    start = _offset(data, rng)
    value = _LENGTHS[int(rng.integers(len(_LENGTHS)))]
    size = int(rng.choice([1, 2, 4]))
    stop = min(len(data), start + size)
    data[start:stop] = value[: stop - start]


_MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip_bits,
    _overwrite,
    _zero,
    _cut_off,
    _cut_out,
    _repeat,
    _swap,
    _falsify_length,
)

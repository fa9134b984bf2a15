"""Samples packed into words, taken out and put back; bits that are no samples stay as they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPacking:
    """How samples lie in words; the pattern repeats after some words."""

    word_bits: int
    """8, 16 or 32."""
    sample_bits: int
    positions: tuple[int, ...]
    """Lowest bit of each sample of the pattern, counted from the lowest bit of its first word."""
    words: int = 1
    """Words of the pattern."""

    def word_count(self, samples: int) -> int:
        """Return how many words a line of ``samples`` takes."""
        whole, rest = divmod(samples, len(self.positions))
        if not rest:
            return whole * self.words
        last = max(self.positions[:rest]) + self.sample_bits
        if self.words == 1:
            return whole + 1
        return whole * self.words + -(-last // self.word_bits)

    def samples(self, words: NDArray[np.generic], count: int) -> NDArray[np.uint16]:
        """Return ``(lines, count)`` samples of ``(lines, word_count)`` words."""
        wide = words.astype(np.uint32)
        found = np.empty((words.shape[0], count), dtype=np.uint16)
        mask = np.uint32((1 << self.sample_bits) - 1)
        for start, at, shift in self._slots():
            target = found[:, start :: len(self.positions)]
            value = wide[:, at :: self.words][:, : target.shape[1]] >> np.uint32(shift)
            if shift + self.sample_bits > self.word_bits:
                rest = wide[:, at + 1 :: self.words][:, : target.shape[1]]
                value = value | (rest << np.uint32(self.word_bits - shift))
            target[...] = value & mask
        return found

    def put(self, words: NDArray[np.generic], samples: NDArray[np.generic]) -> NDArray[np.uint32]:
        """Return ``words`` with other samples; all other bits are those of ``words``."""
        wide = words.astype(np.uint32)
        mask = (1 << self.sample_bits) - 1
        top = (1 << self.word_bits) - 1
        for start, at, shift in self._slots():
            value = samples[:, start :: len(self.positions)].astype(np.uint32)
            part = wide[:, at :: self.words][:, : value.shape[1]]
            low = np.uint32((mask << shift) & top)
            part[...] = (part & ~low) | ((value << np.uint32(shift)) & low)
            if shift + self.sample_bits > self.word_bits:
                taken = self.word_bits - shift
                part = wide[:, at + 1 :: self.words][:, : value.shape[1]]
                high = np.uint32(mask >> taken)
                part[...] = (part & ~high) | (value >> np.uint32(taken))
        return wide

    def _slots(self) -> list[tuple[int, int, int]]:
        """Return for each sample of the pattern its number, its word and its lowest bit there."""
        return [
            (number, *divmod(position, self.word_bits))
            for number, position in enumerate(self.positions)
        ]

"""Unpacks samples from words, and replaces them without changing the bits in between."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPacking:
    """A pattern of samples in words, repeated along a line."""

    word_bits: int
    """8, 16 or 32."""
    sample_bits: int
    positions: tuple[int, ...]
    """Lowest bit of each sample of the pattern, counted from the lowest bit of its first word."""
    words: int = 1
    """Words of the pattern."""

    def word_count(self, samples: int) -> int:
        """Return the number of words of a line of ``samples``."""
        patterns, remainder = divmod(samples, len(self.positions))
        if not remainder:
            return patterns * self.words
        last = max(self.positions[:remainder]) + self.sample_bits
        if self.words == 1:
            return patterns + 1
        return patterns * self.words + -(-last // self.word_bits)

    def unpack(self, words: NDArray[np.generic], count: int) -> NDArray[np.uint16]:
        """Return ``(lines, count)`` samples of ``(lines, word_count)`` words."""
        wide = words.astype(np.uint32)
        samples = np.empty((words.shape[0], count), dtype=np.uint16)
        mask = np.uint32((1 << self.sample_bits) - 1)
        for start, word, shift in self._slots():
            target = samples[:, start :: len(self.positions)]
            value = wide[:, word :: self.words][:, : target.shape[1]] >> np.uint32(shift)
            if shift + self.sample_bits > self.word_bits:
                high_part = wide[:, word + 1 :: self.words][:, : target.shape[1]]
                value = value | (high_part << np.uint32(self.word_bits - shift))
            target[...] = value & mask
        return samples

    def replace(
        self, words: NDArray[np.generic], samples: NDArray[np.generic]
    ) -> NDArray[np.uint32]:
        """Return ``words`` with other samples; all other bits stay."""
        wide = words.astype(np.uint32)
        mask = (1 << self.sample_bits) - 1
        top = (1 << self.word_bits) - 1
        for start, word, shift in self._slots():
            value = samples[:, start :: len(self.positions)].astype(np.uint32)
            part = wide[:, word :: self.words][:, : value.shape[1]]
            low = np.uint32((mask << shift) & top)
            part[...] = (part & ~low) | ((value << np.uint32(shift)) & low)
            if shift + self.sample_bits > self.word_bits:
                low_bits = self.word_bits - shift
                part = wide[:, word + 1 :: self.words][:, : value.shape[1]]
                high = np.uint32(mask >> low_bits)
                part[...] = (part & ~high) | (value >> np.uint32(low_bits))
        return wide

    def _slots(self) -> list[tuple[int, int, int]]:
        """Return for each sample of the pattern its number, its word and its lowest bit there."""
        return [
            (number, *divmod(position, self.word_bits))
            for number, position in enumerate(self.positions)
        ]

"""The restoration as a VapourSynth filter: lazy, with random access.

https://www.vapoursynth.com/doc/
"""

from vidrestore.vapoursynth.filter import restore

__all__ = ["restore"]

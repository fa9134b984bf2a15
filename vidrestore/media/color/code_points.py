"""Code points of ITU-T H.273 (07/2021), tables 2 to 4, and two that it does not have."""

PRIMARIES_BT709 = 1
PRIMARIES_BT2020 = 9
PRIMARIES_P3 = 12

TRANSFER_UNSPECIFIED = 2
LINEAR = 8
PQ = 16
HLG = 18

MATRIX_RGB = 0
MATRIX_BT709 = 1
MATRIX_BT601 = 6
MATRIX_YCGCO = 8
MATRIX_BT2020 = 9
UNSPECIFIED_MATRICES = (MATRIX_RGB, 2, 3)
"""Of YUV frames, where 0 contradicts itself."""

CHROMA_LEFT, CHROMA_CENTER, CHROMA_TOP_LEFT = 1, 2, 3
"""Locations of chroma samples as FFmpeg numbers them (``AVChromaLocation``), 0 unspecified."""


PRINTING_DENSITY = 200
"""Cineon's printing density: 10 bits, 0.002 of density a step, white at 685, black at 95."""
HALF_FLOAT = 201
"""Linear light, 1 being white: samples are codes of half floats (``half_float``)."""

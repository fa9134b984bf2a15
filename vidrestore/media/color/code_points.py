"""Code points of ITU-T H.273 (07/2021), tables 2 to 4, and two private ones."""

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
"""Codes that leave the matrix of YUV open; 0 (RGB) contradicts YUV."""

CHROMA_LEFT, CHROMA_CENTER, CHROMA_TOP_LEFT = 1, 2, 3
"""Locations of chroma samples as FFmpeg numbers them (``AVChromaLocation``), 0 unspecified."""


PRINTING_DENSITY = 200
"""Cineon's printing density: 10 bits, steps of 0.002 in density, white at 685, black at 95."""
HALF_FLOAT = 201
"""Linear light with white at 1; samples are codes of half floats (``half_float``)."""

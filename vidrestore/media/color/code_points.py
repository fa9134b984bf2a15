"""Codes of transfer characteristics that ITU-T H.273 does not have."""

PRINTING_DENSITY = 200
"""Cineon's printing density: 10 bits, 0.002 of density a step, white at 685, black at 95."""
HALF_FLOAT = 201
"""Light itself, 1 being white: samples are the codes of half floats that ``half`` describes."""

"""Pixel formats, colour matrices, transfer functions, HDR."""

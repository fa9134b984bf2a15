"""Pixel formats, color matrices, transfer functions, HDR."""

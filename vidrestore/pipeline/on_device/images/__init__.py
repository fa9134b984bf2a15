"""Batches of images on a device: planes, regions, colors, warps and filters."""

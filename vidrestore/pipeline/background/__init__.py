"""Upscales whole frames in tiles."""

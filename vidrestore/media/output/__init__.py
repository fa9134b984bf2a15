"""Writes videos and image sequences."""

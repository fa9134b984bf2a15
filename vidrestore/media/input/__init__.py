"""Reads videos and image sequences."""

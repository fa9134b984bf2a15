"""Finds faces in a frame."""

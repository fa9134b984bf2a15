"""Interlaced and telecined video."""

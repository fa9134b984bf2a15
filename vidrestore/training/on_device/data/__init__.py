"""Degrades faces on the device."""

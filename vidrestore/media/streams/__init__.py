"""Copied streams, and their metadata."""

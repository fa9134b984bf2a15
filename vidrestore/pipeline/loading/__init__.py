"""Loads the networks of a run."""

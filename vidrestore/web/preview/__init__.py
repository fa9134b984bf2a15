"""Chosen frames before and after, restored on the spot by a process that keeps its networks."""

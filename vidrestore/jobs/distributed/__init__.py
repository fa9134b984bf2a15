"""Segments restored by Ray tasks, on this machine or on many."""

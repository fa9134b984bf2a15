"""Checkpoints from outside: where they come from, where they are stored, how they are opened.

This is the only package that downloads anything or opens a checkpoint it did not ship.
"""

"""Checkpoints: downloaded, stored, and opened as untrusted input.

This is the only package that downloads anything or opens a checkpoint it does not contain.
"""

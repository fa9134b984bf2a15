"""Distributions of degradations."""

"""Limits how much of a restored face is used, and records why."""

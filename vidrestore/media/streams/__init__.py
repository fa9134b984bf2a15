"""Streams that are copied, and what describes them."""

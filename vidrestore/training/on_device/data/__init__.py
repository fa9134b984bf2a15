"""Degraded faces, made on the device."""

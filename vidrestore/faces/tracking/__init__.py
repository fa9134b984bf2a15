"""Follows faces through shots."""

"""Adapts the packaged restorer to one film, and to one person if there are photographs."""

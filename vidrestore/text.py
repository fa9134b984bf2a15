"""Parts of messages."""


def count_text(count: int, noun: str) -> str:
    """Return ``1 frame``, ``2 frames``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable_text(text: str, replacement: str = "?") -> str:
    """Return text from a file without characters that could control a terminal."""
    return "".join(character if character.isprintable() else replacement for character in text)

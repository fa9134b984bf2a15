"""Parts of messages."""


def count_text(count: int, noun: str) -> str:
    """Return ``1 frame``, ``2 frames``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clock_text(seconds: float) -> str:
    """Return ``M:SS``, or ``H:MM:SS`` from an hour on."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def printable_text(text: str, replacement: str = "?") -> str:
    """Return text from a file without characters that could control a terminal."""
    return "".join(character if character.isprintable() else replacement for character in text)

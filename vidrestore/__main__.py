"""``python -m vidrestore`` is the command ``vidrestore``."""

from vidrestore.cli import entry_point

if __name__ == "__main__":
    entry_point()

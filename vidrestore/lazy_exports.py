"""Names that a package exports and imports only when they are first used (PEP 562).

A refusal, ``--help`` and a table of codecs then need neither torch nor FFmpeg.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_exports(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that defines ``__all__``.

    Args:
        package: ``__name__`` of the package.
        modules: Exported name -> module that defines it, relative to the package.
    """

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(sys.modules[package].__all__)

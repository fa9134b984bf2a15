"""Import layering: a module imports its own package and strictly lower layers only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vidrestore"

LAYERS = {
    "errors": 0,
    "types": 0,
    "affine": 0,
    "devices": 0,
    "malloc_tuning": 0,
    "prefetch": 0,
    "sliding_window": 0,
    "progress": 0,
    "settings": 0,
    "stage_timer": 0,
    "text": 0,
    "toml_config": 0,
    "models": 1,
    "noise_estimation": 1,
    "optical_flow": 1,
    "warp": 1,
    "record": 1,
    "storage": 1,
    "media": 2,
    "weights": 2,
    "faces": 3,
    "repair": 3,
    "restore": 3,
    "paste": 3,
    "metrics": 3,
    "safeguard": 3,
    "verify": 3,
    "review": 3,
    "pipeline": 4,
    "training": 4,
    "jobs": 5,
    "vapoursynth": 6,
    "web": 6,
    "cli": 7,
}
MAX_MODULES = 14
"""Modules of a package beside its ``__init__``, subpackages apart."""
UNLAYERED = {"__init__", "__main__"}
"""The public names and the command: they point at any layer, and nothing points at them."""

ALONE = {"OpenImageIO": "media", "av": "media", "rich": "cli", "tyro": "cli"}
"""Foreign package -> the only one of ours that imports it."""

# errors is the alphabet of layer 0: every module there may use it.
FOUNDATION = {"errors", "types"}


def imported_modules(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the dotted name of everything that ``source`` imports, relative imports resolved.

    Both ``from a import b`` and ``import a.b`` give ``a.b``: whether ``b`` is a module
    is not known here, and does not matter.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - 1 if is_package else node.level
                parents = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*parents, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def violations(root: Path, layers: dict[str, int]) -> list[str]:
    """Return one line for every import that points sideways or upwards."""
    result: list[str] = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        own = parts[0]
        is_package = parts[-1] == "__init__"
        module = ".".join([root.name, *(parts[:-1] if is_package else parts)])
        for name in imported_modules(path.read_text(), module, is_package=is_package):
            head, _, rest = name.partition(".")
            where = f"{'/'.join(parts)}: {own}"
            if head in ALONE and own != ALONE[head]:
                result.append(f"{where} may not import {head}")
            if head != root.name or own in UNLAYERED:
                continue
            target = rest.split(".")[0]
            if not {own, target} <= layers.keys() or target == own:
                continue
            sideways = layers[target] == layers[own] and not (
                layers[own] == 0 and target in FOUNDATION and own != "errors"
            )
            if sideways or layers[target] > layers[own]:
                result.append(f"{where} may not import {target}")
    return result


def test_every_import_is_of_a_lower_layer() -> None:
    assert violations(PACKAGE, LAYERS) == []


def test_every_module_has_a_layer() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"} - {
        "__pycache__"
    }

    assert names - UNLAYERED <= LAYERS.keys()


def test_no_package_has_too_many_modules() -> None:
    """About a dozen modules on one floor are what a reader takes in at once."""
    packages = {path.parent for path in PACKAGE.rglob("*.py")}
    crowded = {
        str(package.relative_to(PACKAGE)): count
        for package in packages
        if (count := len([*package.glob("*.py")]) - 1) > MAX_MODULES
    }

    assert crowded == {}


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("faces/detector.py", "import vidrestore.paste.masks", "faces may not import paste"),
        ("faces/detector.py", "from vidrestore.pipeline import x", "may not import pipeline"),
        ("faces/detector.py", "from vidrestore import restore", "may not import restore"),
        ("faces/detector.py", "from ..paste import masks", "may not import paste"),
        ("faces/detector.py", "from .. import paste", "may not import paste"),
        ("faces/__init__.py", "from ..restore.restorer import x", "may not import restore"),
        ("models/lite.py", "def f():\n    from vidrestore.weights import x", "import weights"),
        ("pipeline.py", "import av", "pipeline may not import av"),
        ("media/info.py", "from rich.table import Table", "media may not import rich"),
        ("errors.py", "from vidrestore.types import x", "errors may not import types"),
    ],
)
def test_an_import_of_the_same_or_a_higher_layer_is_reported(
    tmp_path: Path, path: str, source: str, message: str
) -> None:
    file = tmp_path / "vidrestore" / path
    file.parent.mkdir(parents=True)
    file.write_text(source)

    (line,) = violations(tmp_path / "vidrestore", LAYERS)
    assert message in line


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("faces/detector.py", "from vidrestore.types import Frame\nfrom . import config"),
        ("faces/detector.py", "from vidrestore.models.mtcnn import PNet"),
        ("faces/__init__.py", "from .config import x\nimport numpy"),
        ("media/info.py", "import av\nfrom vidrestore.errors import MediaError"),
        ("devices.py", "from vidrestore.errors import DeviceError"),
        ("cli/info.py", "from vidrestore.pipeline import x\nimport tyro"),
    ],
)
def test_an_import_of_a_lower_layer_is_allowed(tmp_path: Path, path: str, source: str) -> None:
    file = tmp_path / "vidrestore" / path
    file.parent.mkdir(parents=True)
    file.write_text(source)

    assert violations(tmp_path / "vidrestore", LAYERS) == []

"""Check the content of a wheel: the package and its manual page alone, below PyPI's limit.

    python -m build && python scripts/check_wheel.py dist/*.whl

The package data in ``pyproject.toml`` is a list of patterns, so a new data file can be missed, and
a stale ``build`` folder adds files. The exit code is 0 if the wheel is right, 1 otherwise.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path
from zipfile import BadZipFile, ZipFile

ROOT = Path(__file__).parent.parent
PACKAGE = "vidrestore"
MAX_WHEEL_BYTES = 95 * 10**6
"""PyPI accepts 100 MB, of which the packaged weights take nearly all."""
MAN_PAGE = "data/share/man/man1/vidrestore.1"
"""In the folder of data files."""
DIST_INFO_FILES = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


def source_files(root: Path) -> dict[str, bytes]:
    """Return the SHA-256 of every file of the package in ``root``, by its path in a wheel."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted((root / PACKAGE).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def problems_of(
    wheel_path: Path, *, root: Path = ROOT, max_bytes: int = MAX_WHEEL_BYTES
) -> list[str]:
    """Return what is wrong with a wheel of the package in ``root``, one line per problem.

    Raises:
        OSError: The wheel cannot be read.
        BadZipFile: It is not a wheel, or is damaged.
    """
    problems: list[str] = []
    size_bytes = wheel_path.stat().st_size
    if size_bytes > max_bytes:
        problems.append(f"{size_bytes / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.1f} MB")
    with ZipFile(wheel_path) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        members = {
            name: hashlib.sha256(wheel.read(name)).digest()
            for name in names
            if name.startswith(f"{PACKAGE}/")
        }
        problems += _metadata_problems(wheel, names)
    expected = source_files(root)
    problems += [f"{name} is missing" for name in sorted(expected.keys() - members)]
    problems += [f"{name} is not in the source" for name in sorted(members.keys() - expected)]
    problems += [
        f"{name} differs from the source"
        for name in sorted(members.keys() & expected)
        if members[name] != expected[name]
    ]
    return problems


def _metadata_problems(wheel: ZipFile, names: Sequence[str]) -> list[str]:
    infos = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    if len(infos) != 1 or not (info := infos.pop()).startswith(f"{PACKAGE}-"):
        return [f"no single {PACKAGE}-VERSION.dist-info folder"]
    man_page = f"{info.removesuffix('.dist-info')}.data/{MAN_PAGE}"
    problems = [
        f"{name} is outside the package"
        for name in sorted(names)
        if not name.startswith((f"{PACKAGE}/", f"{info}/")) and name != man_page
    ]
    if man_page not in names:
        problems.append(f"{man_page} is missing")
    missing = [f"{info}/{name}" for name in DIST_INFO_FILES if f"{info}/{name}" not in names]
    problems += [f"{name} is missing" for name in missing]
    if f"{info}/METADATA" in names:
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        fields = ("Requires-Python", "License-Expression", "Requires-Dist", "Project-URL")
        problems += [f"METADATA has no {field}" for field in fields if field not in metadata]
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the wheels named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    failed = False
    for wheel_path in parser.parse_args(arguments).wheels:
        try:
            problems = problems_of(wheel_path)
            size_mb = wheel_path.stat().st_size / 1e6
        except (OSError, BadZipFile) as error:
            problems, size_mb = [f"cannot be read: {error}"], 0.0
        for problem in problems:
            print(f"{wheel_path}: {problem}", file=sys.stderr)
        if not problems:
            print(f"{wheel_path}: {size_mb:.1f} MB, all files of the package and nothing else")
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""File names that are special to a shell or to FFmpeg, or not valid text."""

import os
import shutil
from pathlib import Path

from faults.bench import Bench, chapter
from support.clips import run_ffmpeg

fault = chapter("Names")

_ODD = (
    "new\nline.mkv",
    "-leading.mkv",
    "quo'te\".mkv",
    "per%d%05d%s.mkv",
    "$(id)`id`;#.mkv",
    "back\\slash*?[a].mkv",
    " space .mkv",
    "[bold]markup[red].mkv",
    "漢字\u202eüñ.mkv",
)
_ADDRESSES = ("http:x.mkv", "concat:a|b.mkv", "file:x.mkv", "pipe:1.mkv", "data:,x.mkv")


def _assert_names_work(bench: Bench, names: tuple[str, ...]) -> None:
    """Restore a film of each name to an output of the same name."""
    film = bench.clip(ticks=(0, 1))
    results = bench.folder / "results"
    results.mkdir()
    for name in names:
        odd = bench.folder / name
        shutil.copy(film, odd)
        assert bench.restore(odd, output=results / name).assert_succeeded().numbers() == [0, 1]


@fault(
    "line breaks, quotes, leading dashes, `%d`, wildcards, markup, other scripts",
    "accepted like any other name, for sources and outputs",
)
def odd(bench: Bench) -> None:
    _assert_names_work(bench, _ODD)


@fault(
    "names that look like addresses: `http:`, `concat:`, `file:`, `pipe:`",
    "treated as file names",
)
def addresses(bench: Bench) -> None:
    _assert_names_work(bench, _ADDRESSES)


@fault(
    "names that are not valid UTF-8",
    "accepted like any other name",
)
def other_bytes(bench: Bench) -> None:
    _assert_names_work(bench, (os.fsdecode(b"bad\xff\xfe.mkv"),))


@fault(
    "a name of 255 bytes",
    "accepted: temporary names are shortened to fit",
)
def longest(bench: Bench) -> None:
    _assert_names_work(bench, ("x" * 251 + ".mkv", "ä" * 125 + ".mkv"))


@fault(
    "a name that is too long",
    "refused at once",
)
def too_long(bench: Bench) -> None:
    bench.restore(bench.clip(), output="x" * 300 + ".mkv").assert_refused("too long")


@fault(
    "unusual names in an image sequence",
    "every image keeps its name",
)
def in_a_folder(bench: Bench) -> None:
    folder = bench.folder / "frames"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=range(3)), folder / "%d.png")
    names = ("1\n%d.png", "2'\"[b].png", os.fsdecode(b"3\xff.png"))
    for number, name in enumerate(names, start=1):
        (folder / f"{number}.png").rename(folder / name)
    outcome = bench.restore(folder, output="out").assert_succeeded()
    assert sorted(path.name for path in Path(outcome.output).iterdir()) == sorted(names)

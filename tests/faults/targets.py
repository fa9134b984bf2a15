"""Outputs that cannot be written, and links."""

import errno
import os
from pathlib import Path

import pytest
from faults.bench import LOSSLESS, Bench, chapter, frames_of
from support.programs import run_python

fault = chapter("Outputs")

_FULL_DISK = """
import resource, sys
from vidrestore.cli import main
import vidrestore.jobs.run
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
sys.exit(main(sys.argv[1:]))
"""


@fault(
    "a folder without write permission",
    "refused at once",
)
def no_permission(bench: Bench) -> None:
    folder = bench.folder / "closed"
    folder.mkdir()
    path = bench.clip()
    bench.patch.setattr(os, "access", lambda where, _mode: Path(where) != folder)
    bench.restore(path, output="closed/out.mkv").assert_refused("no permission to write in", "-o")


@fault(
    "a folder that does not exist",
    "refused at once; it is not created",
)
def missing_folder(bench: Bench) -> None:
    bench.restore(bench.clip(), output="none/out.mkv").assert_refused(
        "the folder", "none does not exist"
    )


@fault(
    "an output that already exists",
    "refused at once; `--overwrite` replaces it when the new file is complete",
)
def existing_output(bench: Bench) -> None:
    path = bench.clip()
    (bench.folder / "out.mkv").write_text("mine")
    bench.restore(path).assert_refused("out.mkv: already exists", "--overwrite")
    assert bench.restore(path, "--overwrite").assert_succeeded().numbers() == list(range(12))


@fault(
    "an output that another program creates during the run",
    "it is not replaced; the result gets another name, which the error states",
)
def output_appears_during_run(bench: Bench) -> None:
    from vidrestore.storage import atomic_output as publish

    flush = publish._flush_to_disk
    target = bench.folder / "out.mkv"

    def flush_after_writing_target(path: Path) -> None:
        target.write_text("mine")
        flush(path)

    bench.patch.setattr(publish, "_flush_to_disk", flush_after_writing_target)
    path = bench.clip()
    message = _run(bench, path)
    assert "appeared during the run and was not replaced" in message
    assert "out-1.mkv" in message
    assert target.read_text() == "mine"
    assert len(frames_of(bench.folder / "out-1.mkv")) == 12


def _run(bench: Bench, path: Path) -> str:
    import io
    from contextlib import redirect_stderr

    from vidrestore.cli import main

    message = io.StringIO()
    with redirect_stderr(message):
        assert main([str(path), "-o", str(bench.folder / "out.mkv"), *LOSSLESS]) == 1
    return message.getvalue()


@fault(
    "a full disk",
    "a one-line error; no incomplete file gets the name of the output, and an existing file "
    "is kept",
)
def full_disk(bench: Bench) -> None:
    path = bench.clip(size_hw=(240, 320), ticks=range(12))
    target = bench.folder / "out.mkv"
    target.write_text("mine")
    arguments = [str(path), "-o", str(target), *LOSSLESS, "--overwrite"]
    run = run_python("-c", _FULL_DISK, *arguments)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "larger than the file system allows" in run.stderr
    assert target.read_text() == "mine"


@fault(
    "a disk that becomes full when the output is completed",
    "the same",
)
def disk_full_at_the_end(bench: Bench) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = bench.clip()
    bench.patch.setattr(os, "fsync", full)
    bench.restore(path).assert_refused("no space left on the device; free some")


@fault(
    "an output on another file system than the source",
    "the temporary file is next to the output, so nothing is copied between disks",
)
def other_file_system(bench: Bench) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == bench.folder.stat().st_dev:
        pytest.skip("no second file system here")
    target = other / f"vidrestore-fault-{os.getpid()}.mkv"
    try:
        outcome = bench.restore(bench.clip(), output=str(target)).assert_succeeded()
        assert outcome.numbers() == list(range(12))
        assert [path.name for path in other.glob(f".{target.stem}*")] == []
    finally:
        target.unlink(missing_ok=True)


@fault(
    "a source that is a link",
    "the file that it points to is restored; the link is kept",
)
def link_to_source(bench: Bench) -> None:
    link = bench.folder / "link.mkv"
    link.symlink_to(bench.clip())
    assert bench.restore(link).assert_succeeded().numbers() == list(range(12))
    assert link.is_symlink()


@fault(
    "an output that is a link to the source, or another name of it",
    "refused, even with `--overwrite`",
)
def link_as_target(bench: Bench) -> None:
    path = bench.clip()
    (bench.folder / "link.mkv").symlink_to(path)
    os.link(path, bench.folder / "hard.mkv")
    for name in ("link.mkv", "hard.mkv", "film.mkv"):
        bench.restore(path, "--overwrite", output=name).assert_refused(
            f"{name}: source and output are the same file"
        )


@fault(
    "an output that is a link to a film",
    "the film that it points to is replaced, only with `--overwrite`; the link is kept",
)
def link_to_film(bench: Bench) -> None:
    path = bench.clip()
    disk = bench.folder / "disk"
    disk.mkdir()
    (disk / "real.mkv").write_text("mine")
    link = bench.folder / "out.mkv"
    link.symlink_to(disk / "real.mkv")
    bench.restore(path).assert_refused("out.mkv: already exists")
    bench.restore(path, "--overwrite").assert_succeeded()
    assert link.is_symlink()
    assert len(frames_of(disk / "real.mkv")) == 12


@fault(
    "a broken link",
    "refused as a source; as an output, the film is written where it points",
)
def broken_link(bench: Bench) -> None:
    path = bench.clip()
    disk = bench.folder / "disk"
    disk.mkdir()
    link = bench.folder / "out.mkv"
    link.symlink_to(disk / "new.mkv")
    bench.restore(link, output="other.mkv").assert_refused("out.mkv: no such file")
    bench.restore(path).assert_succeeded()
    assert link.is_symlink()
    assert len(frames_of(disk / "new.mkv")) == 12
    link.unlink()
    link.symlink_to(bench.folder / "none" / "new.mkv")
    bench.restore(path).assert_refused("does not exist; create it first")


@fault(
    "links that form a loop",
    "refused at once",
)
def link_loop(bench: Bench) -> None:
    path = bench.clip()
    (bench.folder / "a.mkv").symlink_to(bench.folder / "b.mkv")
    (bench.folder / "b.mkv").symlink_to(bench.folder / "a.mkv")
    bench.restore(path, output="a.mkv").assert_refused("a.mkv: its symbolic links form a loop")
    bench.restore(bench.folder / "a.mkv").assert_refused("a.mkv: ")


@fault(
    "an output that is a device or a pipe",
    "refused, because `--overwrite` must not replace it",
)
def device(bench: Bench) -> None:
    path = bench.clip()
    os.mkfifo(bench.folder / "pipe.mkv")
    bench.restore(path, "--overwrite", output="pipe.mkv").assert_refused(
        "neither a file nor a folder"
    )
    bench.restore(path, "--overwrite", output="/dev/null").assert_refused(
        "neither a file nor a folder"
    )


@fault(
    "an image whose output folder is its own folder",
    "refused: the output would replace the source",
)
def own_folder(bench: Bench) -> None:
    from support.clips import run_ffmpeg

    folder = bench.folder / "pictures"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=(0,)), folder / "one.png")
    bench.restore(folder / "one.png", "--overwrite", output="pictures").assert_refused(
        "the source is in this folder"
    )


@fault(
    "a temporary file left by a killed run",
    "removed by the next run with the same output; those of active runs are kept",
)
def leftovers(bench: Bench) -> None:
    from vidrestore.storage.temp_files import locked

    path = bench.clip()
    dead = bench.folder / ".out.0123abcd.partial.mkv"
    alive = bench.folder / ".out.4567cdef.partial.mkv"
    other = bench.folder / ".another.0123abcd.partial.mkv"
    for file in (dead, alive, other):
        file.write_text("half a film")
    with locked(alive):
        _assert_run_succeeds(bench, path)
    assert not dead.exists()
    assert alive.exists()
    assert other.exists()
    alive.unlink()
    other.unlink()


def _assert_run_succeeds(bench: Bench, path: Path) -> None:
    from vidrestore.cli import main

    assert main([str(path), "-o", str(bench.folder / "out.mkv"), *LOSSLESS]) == 0

"""Damaged and malicious checkpoints."""

import os
import pickle
from importlib.resources import as_file, files
from pathlib import Path

import torch
from faults.bench import Bench, chapter
from safetensors.torch import load_file, save_file

fault = chapter("Checkpoints")


class _MakesFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@fault(
    "a checkpoint whose pickle would run code",
    "refused; the code does not run",
)
def code_in_checkpoint(bench: Bench) -> None:
    film, harm = bench.clip(), bench.folder / "harm"
    plain, zipped = bench.folder / "plain.pth", bench.folder / "zipped.pth"
    plain.write_bytes(pickle.dumps({"params": _MakesFolder(harm)}))
    torch.save({"params": _MakesFolder(harm)}, zipped)
    for path in (plain, zipped):
        bench.restore(film, "--model", str(path)).assert_refused(f"{path.name}: ")
        bench.restore(film, "--background", str(path)).assert_refused(f"{path.name}: ")
        assert not harm.exists()


@fault(
    "a checkpoint that is truncated or has wrong bytes in the middle",
    "refused by name",
)
def damaged(bench: Bench) -> None:
    film = bench.clip()
    weights = _lite()
    for name, data in (
        ("half.safetensors", weights[: len(weights) // 2]),
        ("header.safetensors", weights[:100] + bytes(40) + weights[140:]),
        ("empty.pth", b""),
        ("text.pth", b"<html>not found</html>"),
    ):
        path = bench.folder / name
        path.write_bytes(data)
        bench.restore(film, "--model", str(path)).assert_refused(f"{name}: ")


@fault(
    "a checkpoint with values that are not finite",
    "refused with the name of the tensor",
)
def not_finite(bench: Bench) -> None:
    source = bench.folder / "lite.safetensors"
    source.write_bytes(_lite())
    state = load_file(source)
    name = next(key for key, tensor in state.items() if tensor.is_floating_point())
    state[name].view(-1)[0] = float("nan")
    path = bench.folder / "nan.safetensors"
    save_file(state, path)
    bench.restore(bench.clip(), "--model", str(path)).assert_refused(
        "nan.safetensors: not finite", name
    )


def _lite() -> bytes:
    from vidrestore.models.registry import RESTORERS

    name = RESTORERS["lite"].packaged_file
    assert name is not None
    with as_file(files("vidrestore.models") / "data" / name) as path:
        return path.read_bytes()

"""Carry out the steps of a Dockerfile in a folder with a Debian system, without Docker.

    debootstrap --variant=minbase bookworm ROOT      # and the image's Python in ROOT/usr/local
    python scripts/build_in_chroot.py ROOT --build-arg TORCH_INDEX=https://pypi.org/simple
    python scripts/build_in_chroot.py ROOT --no-build --volume FOLDER:/films -- film.mkv -o new.mkv

The first run builds: the steps change ROOT. Then the entry point runs with the words after ``--``,
or with those of ``CMD``, as the user and in the folder that the Dockerfile names. Needs Linux and
root; what is mounted is gone when the command ends. What Docker adds is not checked: the base
image itself, its layers, and its network. ``hadolint Dockerfile`` checks the file's style.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).resolve().parents[1]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOUNT = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && '


@dataclass(kw_only=True)
class Image:
    """A folder with a system, and what the instructions so far say about it."""

    root: Path
    context: Path
    arguments: dict[str, str]
    """Of ``--build-arg``."""
    volumes: Sequence[str] = ()
    """``FOLDER:/PATH`` each: folders of this machine that the entry point sees."""
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    build_only: dict[str, str] = field(default_factory=dict[str, str])
    user: str = "0"
    folder: str = "/"
    entry_point: list[str] = field(default_factory=list[str])
    command: list[str] = field(default_factory=list[str])

    def carry_out(self, name: str, words: str, *, build: bool) -> None:
        """Carry out one instruction; without ``build`` only what it says is noted."""
        match name:
            case "FROM":
                pass  # ROOT is the base image.
            case "ARG":
                key, _, default = words.partition("=")
                self.build_only[key] = self.arguments.get(key, default)
            case "ENV":
                self.environment |= dict(word.split("=", 1) for word in shlex.split(words))
            case "USER":
                self.user = words
            case "WORKDIR":
                self.folder = words
                self._inside(words).mkdir(parents=True, exist_ok=True)
            case "COPY" if build:
                *sources, target = words.split()
                for source in sources:
                    self._copy(source, target)
            case "RUN" if build:
                self.run(["/bin/sh", "-c", words], self.build_only)
            case "COPY" | "RUN":
                pass
            case "ENTRYPOINT":
                self.entry_point = json.loads(words)
            case "CMD":
                self.command = json.loads(words)
            case _:
                raise SystemExit(f"error: unknown instruction {name}")

    def run(self, words: Sequence[str], variables: dict[str, str] | None = None) -> None:
        """Run a command inside, as the user, in the folder; SystemExit where it fails."""
        uid, gid, home = self.account()
        environment = {"HOME": home} | self.environment | (variables or {})
        binds = "".join(
            f'mkdir -p "$0"{shlex.quote(path)} && mount --bind {shlex.quote(folder)} '
            f'"$0"{shlex.quote(path)} && '
            for folder, path in (volume.rsplit(":", 1) for volume in self.volumes)
        )
        enter = f'exec chroot --userspec={uid}:{gid} --groups= "$0" "$@"'
        inside = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', self.folder, *words]
        settings = ["/usr/bin/env", "-i", *(f"{key}={text}" for key, text in environment.items())]
        outside = ["unshare", "--mount", "/bin/sh", "-c", _MOUNT + binds + enter, str(self.root)]
        if status := subprocess.run([*outside, *settings, *inside], check=False).returncode:
            raise SystemExit(f"error: exit status {status}: {shlex.join(words)}")

    def account(self) -> tuple[str, str, str]:
        """Return user id, group id and home, as Docker does: unknown users are in group 0."""
        for line in (self.root / "etc/passwd").read_text("utf-8").splitlines():
            name, _, uid, gid, _, home, _ = line.split(":")
            if self.user in (name, uid):
                return uid, gid, home
        return self.user, "0", "/"

    def _inside(self, path: str) -> Path:
        return self.root / str(PurePosixPath(self.folder) / path).lstrip("/")

    def _copy(self, source: str, target: str) -> None:
        ignored = [
            pattern.removeprefix("**/")
            for pattern in (self.context / ".dockerignore").read_text("utf-8").split()
        ]
        place = self._inside(target)
        path = self.context / source
        if path.is_dir():  # its content is copied, not the folder
            shutil.copytree(
                path, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ignored)
            )
        else:
            is_folder = target.endswith("/") or place.is_dir()
            place = place / path.name if is_folder else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return the name and the words of each instruction; comments are left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.split(maxsplit=1) for line in whole.splitlines() if line.strip())
    return [(name, words) for name, words in pairs]


def main() -> None:
    """Parse the command line, build, and run the entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="the folder with the system; it is changed")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--volume", action="append", default=[], metavar="FOLDER:/PATH")
    parser.add_argument("--user", help="a user id in place of the Dockerfile's")
    parser.add_argument("--no-build", action="store_true", help="only run the entry point")
    ours, words = sys.argv[1:], list[str]()
    if "--" in ours:
        ours, words = ours[: ours.index("--")], ours[ours.index("--") + 1 :]
    options = parser.parse_args(ours)
    image = Image(
        root=options.root.resolve(),
        context=CHECKOUT,
        arguments=dict(argument.split("=", 1) for argument in options.build_arg),
    )
    for name, text in instructions((CHECKOUT / "Dockerfile").read_text("utf-8")):
        print(name, text, flush=True, file=sys.stderr)
        image.carry_out(name, text, build=not options.no_build)
    image.user = options.user or image.user
    image.volumes = options.volume
    image.run([*image.entry_point, *(words or image.command)])


if __name__ == "__main__":
    main()

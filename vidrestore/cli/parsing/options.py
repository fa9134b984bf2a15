"""The options of ``vidrestore`` and ``vidrestore batch``, made from the settings."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, make_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from vidrestore.cli.exit_codes import usage_errors
from vidrestore.cli.parsing.arguments import with_bare_background
from vidrestore.cli.parsing.help_text import help_text
from vidrestore.cli.parsing.project_file import NO_FILE, find_project_file, read_project_file
from vidrestore.settings import (
    UPSCALER_NAMES,
    JobSettings,
    ProfileName,
    RestoreSettings,
    Setting,
    is_repeated,
    option,
    profile_settings,
    settings_of,
    value_reader,
)

T = TypeVar("T")

_READ_TYPES = (int, float, str, Fraction, tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """Options that all commands that restore have in common."""

    profile: ProfileName | None = option(
        None,
        "A set of settings for one purpose; an option given explicitly replaces its value. "
        "`vidrestore profiles` lists them.",
        group="What to restore",
        means="watch",
        common=True,
        see="usage.md#profiles",
    )
    config: Path | None = option(
        None,
        "Project file with options; none reads none.",
        group="What to restore",
        metavar="FILE|none",
        means="vidrestore.toml beside the source or in the working folder",
        see="usage.md#project-file",
        per_run=True,
    )
    quiet: bool = option(False, "Print errors only.", group="The machine")
    debug: bool = option(
        False, "Print the traceback of an error, too.", group="The machine", per_run=True
    )


class Arguments:
    """The values of a command line, by the class that declares them.

    Raises:
        UsageError: A value is out of range, or options do not go together.
    """

    def __init__(self, values: Mapping[type, Mapping[str, Any]], project_file: Path | None) -> None:
        self._values = values
        self.project_file = project_file
        """The file that options were read from, if any."""
        self.typed = self.restore_settings(auto=UPSCALER_NAMES[0])
        """The settings of the restoration, before ``--background auto`` is resolved."""
        self.job = self.make(JobSettings)

    def make(self, settings: type[T], **more: Any) -> T:
        """Return an object of one of the classes that were parsed.

        Args:
            settings: The class.
            more: Values that are not options.

        Raises:
            UsageError: A value is out of range, or options do not go together.
        """
        flags = {setting.name: setting.flag for setting in settings_of(settings)}
        with usage_errors(flags):
            return settings(**{**self._values[settings], **more})

    def restore_settings(self, *, auto: str | None = None, **more: Any) -> RestoreSettings:
        """Return the settings of a restoration.

        Args:
            auto: Replaces ``--background auto``; chosen for the device if None.
            more: Settings that are not options.

        Raises:
            DeviceError: ``--background auto`` is given, and the device is not available.
        """
        values = self._values[RestoreSettings]
        background = values["background"]
        if background == "auto":
            background = auto or background_for(values["device"])
        elif background is not None:
            background = name_or_file(background)
        return self.make(RestoreSettings, **{"background": background, **more})


def parse(
    argv: Sequence[str],
    *classes: type,
    prog: str,
    usage: str,
    about: str,
    exclude: Collection[str] = (),
) -> Arguments:
    """Parse a command line, which overrides a project file, which overrides a profile.

    Args:
        argv: The arguments of the command.
        classes: Classes of settings, ``RestoreSettings`` and ``JobSettings`` among them. If two
            have a setting of the same name, the first gets the option.
        prog: Name of the command.
        usage: Its arguments, in short.
        about: Text at the beginning of the help.
        exclude: Names of settings without an option.

    Raises:
        SystemExit: The help was printed, or the command line is wrong.
        UsageError: A value is out of range, or options do not go together.
    """
    owners: dict[str, tuple[type, Setting]] = {}
    for owner in classes:
        for setting in settings_of(owner):
            if setting.name not in exclude:
                owners.setdefault(setting.name, (owner, setting))
    if {"-h", "--help"} & {*argv}:
        print(help_text([setting for _, setting in owners.values()], f"{prog} {usage}", about))
        raise SystemExit(0)
    settings = {name: setting for name, (_, setting) in owners.items()}
    typed = _parse(argv, settings, prog, {})
    project_file, defaults = _defaults(typed, settings)
    parsed = _parse(argv, settings, prog, defaults) if defaults else typed
    values: dict[type, dict[str, Any]] = {owner: {} for owner in classes}
    for name, (owner, setting) in owners.items():
        value = getattr(parsed, name)
        if is_repeated(setting):
            value = tuple(number for numbers in value for number in numbers)
        values[owner][name] = value
    return Arguments(values, project_file)


def _parse(
    argv: Sequence[str], settings: Mapping[str, Setting], prog: str, defaults: Mapping[str, Any]
) -> Any:
    """Return an object with the value of every setting; ``defaults`` override its defaults."""
    command: Any = make_dataclass(
        "Command",
        [_field(setting, defaults.get(name)) for name, setting in settings.items()],
        kw_only=True,
    )
    return tyro.cli(command, prog=prog, args=with_bare_background(argv))


def _defaults(typed: Any, settings: Mapping[str, Setting]) -> tuple[Path | None, dict[str, Any]]:
    """Return the project file, and defaults from it, from a profile and for the container.

    Args:
        typed: The parsed command line, with the defaults of the settings.
        settings: The settings of the command, by name.

    Raises:
        UsageError: The project file cannot be used.
    """
    path = typed.config or find_project_file(typed.source)
    path = None if path == NO_FILE else path
    project = {} if path is None else read_project_file(path, settings.values())
    model = typed.model if typed.model != settings["model"].default else project.get("model")
    explicit = project if model is None else {**project, "model": model}
    profile = typed.profile or project.get("profile")
    profile_defaults = {} if profile is None else profile_settings(profile, explicit=explicit)
    suffix = getattr(typed, "ending", None) or typed.output.suffix
    # WebM does not support the default codec.
    container_defaults = {"codec": "av1"} if suffix.lower() == ".webm" else {}
    return path, {**container_defaults, **profile_defaults, **project}


def print_project_file(arguments: Arguments) -> None:
    """Print the name of the project file, if one was read: users may have forgotten it."""
    if arguments.project_file is not None:
        print(f"options from {arguments.project_file}", file=sys.stderr)


def name_or_file(text: str) -> str | Path:
    """Return ``--background`` as the name of a network, or else as a checkpoint file."""
    path = Path(text)
    is_file = text not in UPSCALER_NAMES and (path.suffix != "" or path.is_file())
    return path if is_file else text


def background_for(device: str) -> str:
    """Return the network of ``--background auto`` on a device.

    Raises:
        DeviceError: There is no such device.
    """
    from vidrestore.devices import resolve_device

    return "realesrgan" if resolve_device(device).type == "cuda" else "compact"


def _field(setting: Setting, override: Any) -> tuple[str, Any, Any]:
    """Return the dataclass field from which tyro makes the option.

    Args:
        setting: The setting.
        override: Replaces the default of the setting, unless None.
    """
    option = setting.option
    hint: Any = str if setting.name == "background" else setting.type
    if setting.nullable:
        hint = hint | None
    if (reader := value_reader(setting)) is not None:
        spec: PrimitiveConstructorSpec[Any] = PrimitiveConstructorSpec(
            nargs=1,
            metavar=setting.metavar,
            instance_from_str=lambda words: reader(words[0]),
            is_instance=lambda value: value is None or isinstance(value, _READ_TYPES),
            str_from_instance=lambda value: [str(value)],
        )
        hint = Annotated[hint, spec]
    if is_repeated(setting):
        hint = Annotated[tuple[hint, ...], tyro.conf.UseAppendAction]
    hint = Annotated[
        hint,
        tyro.conf.arg(
            name=setting.flag.removeprefix("--"),
            metavar=setting.metavar or None,
            aliases=(option.short,) if option.short else None,
            help=option.help,
            help_behavior_hint="",
        ),
    ]
    if option.positional:
        hint = Annotated[hint, tyro.conf.Positional]
    default = setting.default if override is None else override
    return (setting.name, hint, field() if default is MISSING else field(default=default))

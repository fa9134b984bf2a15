"""The options of ``vidrestore`` and ``vidrestore batch``, made from the settings."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, make_dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from vidrestore.cli.arguments import parse_rate, parse_time, parse_tracks, with_bare_background
from vidrestore.cli.exit_codes import usage_errors
from vidrestore.cli.help_text import help_text
from vidrestore.settings import (
    UPSCALER_NAMES,
    JobSettings,
    RestoreSettings,
    Setting,
    option,
    settings_of,
)

T = TypeVar("T")

_READ_TYPES = (int, float, Fraction, tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintOptions:
    """What a command prints."""

    quiet: bool = option(False, "Print errors only.", group="The machine")
    debug: bool = option(False, "Print the traceback of an error, too.", group="The machine")


class Arguments:
    """The values of a command line, by the class that declares them.

    Raises:
        UsageError: A value is out of range, or options do not go together.
    """

    def __init__(self, values: Mapping[type, Mapping[str, Any]]) -> None:
        self._values = values
        self.typed = self.restore_settings(auto=UPSCALER_NAMES[0])
        """The settings of the restoration, but for what ``--background auto`` stands for."""
        self.job = self.make(JobSettings)

    def make(self, settings: type[T], **more: Any) -> T:
        """Return an object of one of the classes that were parsed.

        Args:
            settings: The class.
            more: Values that are not options.

        Raises:
            UsageError: A value is out of range, or options do not go together.
        """
        with usage_errors():
            return settings(**{**self._values[settings], **more})

    def restore_settings(self, *, auto: str | None = None, **more: Any) -> RestoreSettings:
        """Return the settings of a restoration.

        Args:
            auto: What ``--background auto`` stands for; found out if None.
            more: Settings that are not options.

        Raises:
            DeviceError: ``--background auto`` is for a device that is not there.
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
    """Parse a command line.

    Args:
        argv: The arguments of the command.
        classes: Classes of settings, ``RestoreSettings`` and ``JobSettings`` among them. The first
            that has a setting of a name gets its option.
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
    command: Any = make_dataclass(
        "Command", [_field(setting) for _, setting in owners.values()], kw_only=True
    )
    parsed: Any = tyro.cli(
        command, prog=prog, args=with_bare_background(argv), config=(tyro.conf.FlagCreatePairsOff,)
    )
    values: dict[type, dict[str, Any]] = {owner: {} for owner in classes}
    for name, (owner, setting) in owners.items():
        value = getattr(parsed, name)
        if _is_tuple(setting):
            value = tuple(number for numbers in value for number in numbers)
        values[owner][name] = value
    return Arguments(values)


def name_or_file(text: str) -> str | Path:
    """Return the setting ``background`` for a name or a checkpoint file; a name comes first."""
    path = Path(text)
    is_file = text not in UPSCALER_NAMES and (path.suffix != "" or path.is_file())
    return path if is_file else text


def background_for(device: str) -> str:
    """Return the name that ``--background auto`` stands for on a device.

    Raises:
        DeviceError: There is no such device.
    """
    from vidrestore.devices import resolve_device

    return "realesrgan" if resolve_device(device).type == "cuda" else "compact"


def _field(setting: Setting) -> tuple[str, Any, Any]:
    """Return the field of a dataclass that tyro makes the option from."""
    option = setting.option
    hint: Any = str if setting.name == "background" else setting.type
    if setting.nullable:
        hint = hint | None
    if (reader := _reader(setting)) is not None:
        spec: PrimitiveConstructorSpec[Any] = PrimitiveConstructorSpec(
            nargs=1,
            metavar=setting.metavar,
            instance_from_str=lambda words: reader(words[0]),
            is_instance=lambda value: value is None or isinstance(value, _READ_TYPES),
            str_from_instance=lambda value: [str(value)],
        )
        hint = Annotated[hint, spec]
    if _is_tuple(setting):
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
    default = field() if setting.default is MISSING else field(default=setting.default)
    return (setting.name, hint, default)


def _is_tuple(setting: Setting) -> bool:
    return setting.default == ()


def _reader(setting: Setting) -> Callable[[str], object] | None:
    """Return the function that reads a value, if tyro does not know how."""
    if _is_tuple(setting):
        return parse_tracks
    if setting.type is Fraction:
        return parse_rate if setting.option.metavar == "RATE" else parse_time
    if setting.has_range:
        return partial(_number_in_range, setting)
    return None


def _number_in_range(setting: Setting, text: str) -> float:
    """Return a number.

    Raises:
        ValueError: It is no number, or out of range.
    """
    try:
        value = setting.type(text)
    except ValueError:
        value = None
    if value is None or not setting.allows(value):
        raise ValueError(f"must be {setting.range_text}, got {text!r}")
    return value

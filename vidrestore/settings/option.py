"""How a setting is declared: its type, default, range and help in one place.

A settings class is a frozen dataclass whose fields are made by ``option``. The command line, the
help, the table in ``docs/usage.md``, the fingerprint of a job and the checks are made from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache
from math import isfinite
from types import UnionType
from typing import (
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from vidrestore.errors import ConfigError

Group: TypeAlias = Literal[
    "What to restore", "How strongly", "The output", "Reports", "Long films", "The machine"
]
GROUPS: Sequence[Group] = get_args(Group)
"""Groups of options, in the order of the help."""

_OPTION, _SETTING = "option", "setting"
"""Keys of the metadata of a field: its ``Option``, and the setting that it repeats."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Properties of a setting besides its name, type and default."""

    help: str
    """One or two sentences, for the help of the command and the table of the docs."""
    group: Group
    low: float | None = None
    """Smallest value."""
    above: float | None = None
    """Bound that the value must exceed."""
    high: float | None = None
    """Largest value."""
    unit: str = ""
    """Unit of the range, in messages."""
    flag: str = ""
    """The option without dashes, if it is not the name of the setting."""
    short: str = ""
    """Short form of the option, with its dash."""
    metavar: str = ""
    """Placeholder of the value in help; made from choices or range if empty."""
    means: str = ""
    """What a default of None means."""
    common: bool = False
    """Whether it is listed first, among the most used."""
    positional: bool = False
    see: str = ""
    """Section of the docs with more: ``models.md#detail``."""
    per_run: bool = False
    """Whether it belongs to one run, and so not into a project file."""
    affects: Literal["bytes", "presence", "nothing"] = "bytes"
    """Whether the result of a run depends on the value, on whether it is given, or on neither."""
    resolved: bool = False
    """Whether the film depends on what the value resolves to: ``auto`` on the device that it finds,
    a file name on what the file contains."""


def option(default: T, help: str, **more: Any) -> T:
    """Return the dataclass field of a setting.

    Args:
        default: Its default.
        help: See ``Option.help``.
        more: Other fields of ``Option``.
    """
    return field(default=default, metadata={_OPTION: Option(help=help, **more)})


def required(help: str, **more: Any) -> Any:
    """Return the dataclass field of a setting that has no default."""
    return field(metadata={_OPTION: Option(help=help, **more)})


def same_option(settings: type, name: str) -> Any:
    """Return a field with the default and the range of a setting, for the config of one stage.

    Args:
        settings: Class of the setting.
        name: Name of the setting; the field may have another.
    """
    setting = setting_of(settings, name)
    return field(default=setting.default, metadata={_OPTION: setting.option, _SETTING: name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A field of a settings class."""

    name: str
    field: str
    """Name of the field: another than ``name`` in a config that repeats a setting."""
    option: Option
    type: Any
    """Its type without None."""
    nullable: bool
    """Whether None is a value."""
    default: Any
    """``dataclasses.MISSING`` if there is none."""

    @property
    def flag(self) -> str:
        """The option: ``--min-face``."""
        return "--" + (self.option.flag or self.name.replace("_", "-"))

    @property
    def choices(self) -> tuple[Any, ...]:
        """Every value, if there are a few; of a list, every item."""
        hint = get_args(self.type)[0] if self.is_list else self.type
        return get_args(hint) if get_origin(hint) is Literal else ()

    @property
    def is_list(self) -> bool:
        """Whether the value is a list, of any length."""
        return get_origin(self.type) is tuple

    @property
    def has_range(self) -> bool:
        """Whether the value is a number within bounds."""
        option = self.option
        return (option.low, option.above, option.high) != (None, None, None)

    @property
    def metavar(self) -> str:
        """Placeholder of the value in help, such as ``0..1``; empty for a switch."""
        option = self.option
        if option.metavar or self.type is bool:
            return option.metavar
        if self.choices:
            return "|".join(map(str, self.choices))
        bounds = (option.low, option.high)
        return "N" if None in bounds else f"{option.low:g}..{option.high:g}"

    @property
    def range_text(self) -> str:
        """The values that are allowed: ``a number from 0 to 1``."""
        if self.choices:
            names = ", ".join(map(str, self.choices))
            return f"some of {names}, with commas between" if self.is_list else f"one of {names}"
        low, above, high = self.option.low, self.option.above, self.option.high
        number = "a whole number" if self.type is int else "a number"
        if low is not None and high is not None:
            bounds = f"from {low:g} to {high:g}"
        elif low is not None:
            bounds = f"of at least {low:g}"
        else:
            bounds = f"above {above:g}" + ("" if high is None else f" and at most {high:g}")
        return " ".join(filter(None, (number, bounds, self.option.unit)))

    def words(self, value: object) -> str:
        """Return the option as it is typed: ``--codec ffv1``, ``--verify``."""
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return self.flag if self.type is bool else f"{self.flag} {text}"

    def allows(self, value: object) -> bool:
        """Return whether a value is one of the choices, or within the range."""
        if value is None:
            return self.nullable
        if self.is_list:
            items = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
            return isinstance(value, tuple) and {*items} <= {*(self.choices or items)}
        if self.choices:
            return value in self.choices
        if not self.has_range:
            return True
        if not isinstance(value, (int, float, Fraction)) or isinstance(value, bool):
            return False
        if self.type is int and not isinstance(value, int):
            return False
        option = self.option
        return (
            isfinite(value)
            and (option.low is None or value >= option.low)
            and (option.above is None or value > option.above)
            and (option.high is None or value <= option.high)
        )

    def check(self, value: object, *, name: str | None = None) -> None:
        """Raise an error if the value is not allowed.

        Args:
            value: The value.
            name: What the message calls it, if not by the name of the setting.

        Raises:
            ConfigError: It is not one of the choices, or out of range.
        """
        if not self.allows(value):
            raise ConfigError(f"{name or self.name} must be {self.range_text}, got {value!r}")


@cache
def settings_of(settings: type) -> tuple[Setting, ...]:
    """Return the settings of a class, in the order of its fields."""
    hints = get_type_hints(settings)
    return tuple(
        Setting(
            name=field.metadata.get(_SETTING, field.name),
            field=field.name,
            option=field.metadata[_OPTION],
            type=_without_none(hints[field.name]),
            nullable=type(None) in get_args(hints[field.name]),
            default=field.default,
        )
        for field in fields(settings)
        if _OPTION in field.metadata
    )


def setting_of(settings: type, name: str) -> Setting:
    """Return one setting of a class by its name."""
    (setting,) = (setting for setting in settings_of(settings) if setting.name == name)
    return setting


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, UnionType) or type(None) not in get_args(hint):
        return hint
    others = [part for part in get_args(hint) if part is not type(None)]
    return others[0] if len(others) == 1 else Union[tuple(others)]  # noqa: UP007


def check_options(settings: object) -> None:
    """Check the choices and ranges of all settings of an object; its ``__post_init__`` calls this.

    Raises:
        ConfigError: A value is not allowed.
    """
    for setting in settings_of(type(settings)):
        setting.check(getattr(settings, setting.field))


def config_from(settings: object, config: type[T], **more: Any) -> T:
    """Return the config of a stage, with every setting that it repeats by ``same_option``.

    Args:
        settings: The settings of the run.
        config: Class of the config.
        more: Its other fields.
    """
    values = {setting.field: getattr(settings, setting.name) for setting in settings_of(config)}
    return config(**values, **more)


def only_affecting(settings: T, affects: str) -> T:
    """Return settings with the default of every setting that affects something else.

    Args:
        settings: An object whose fields are all settings.
        affects: See ``Option.affects``.
    """
    values = {
        setting.name: getattr(settings, setting.name)
        for setting in settings_of(type(settings))
        if setting.option.affects == affects
    }
    return type(settings)(**values)

"""The form of the page, made from ``vidrestore/settings``: its fields, and settings from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from vidrestore.errors import ConfigError
from vidrestore.settings import (
    UPSCALER_NAMES,
    ProfileName,
    RestoreSettings,
    Setting,
    profile_settings,
    settings_of,
    value_reader,
)

FIRST_NAMES = ("model", "detail", "strength", "faces", "background", "scale", "codec")
"""Settings that are shown at once; the others are in a part that opens."""

FieldKind: TypeAlias = Literal["switch", "choice", "slider", "text"]
RawValue: TypeAlias = str | float | bool | None
"""What a browser sends for a field; None or empty text stands for the default of a setting that
has one that depends on others."""

_TIME_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of the form."""

    setting: Setting
    choices: tuple[str, ...] = ()
    """Every value, as text, if there are a few; the default of a setting that may be left out is
    not among them."""

    @property
    def name(self) -> str:
        """Name of the setting."""
        return self.setting.name

    @property
    def label(self) -> str:
        """The option without dashes, as words."""
        return self.setting.flag.removeprefix("--").replace("-", " ")

    @property
    def help(self) -> str:
        """What it does, and what it is by default."""
        option = self.setting.option
        default = f" (default: {option.means})" if self.setting.nullable and option.means else ""
        return f"{option.help}{default}"

    @property
    def kind(self) -> FieldKind:
        """How the value is entered."""
        if self.setting.type is bool:
            return "switch"
        if self.choices:
            return "choice"
        option = self.setting.option
        is_bounded = option.low is not None and option.high is not None
        return "slider" if is_bounded and self.setting.type is float else "text"

    @property
    def default(self) -> RawValue:
        """The value of an untouched field."""
        default = self.setting.default
        if self.setting.is_list:
            return ",".join(map(str, default))
        return default if default is None or isinstance(default, (bool, float)) else str(default)

    def value(self, raw: RawValue) -> Any:
        """Return the value of the setting.

        Raises:
            ConfigError: It is of another type, out of range, or not one of the choices.
        """
        setting = self.setting
        try:
            if raw is None or raw == "":
                return () if setting.is_list else self._default_of_empty()
            if self.kind == "switch":
                return _switch(raw)
            if self.choices and str(raw) not in self.choices:
                raise ValueError(f"must be one of {', '.join(self.choices)}, got {str(raw)!r}")
            return _read(setting, raw)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"{self.label}: {error}") from error

    def _default_of_empty(self) -> None:
        if not self.setting.nullable:
            raise ValueError("must not be empty")


class Form:
    """All fields of the page."""

    def __init__(self, model_names: Sequence[str]) -> None:
        """Make the fields.

        Args:
            model_names: Restorers to choose from; files cannot be named from a browser.
        """
        choices = {"model": tuple(model_names), "background": UPSCALER_NAMES}
        self.fields = tuple(
            Field(setting=setting, choices=choices.get(setting.name, _choices(setting)))
            for setting in settings_of(RestoreSettings)
            if not setting.option.per_run
        )
        self.first = tuple(
            field for name in FIRST_NAMES for field in self.fields if field.name == name
        )
        self.more = tuple(field for field in self.fields if field not in self.first)

    def settings(self, raw: Mapping[str, RawValue]) -> RestoreSettings:
        """Return the settings of a filled form.

        Args:
            raw: Value of every field by name; one that is missing has its default.

        Raises:
            ConfigError: A value is not allowed, or values do not go together.
        """
        return RestoreSettings(
            **{
                field.name: field.value(raw[field.name])
                for field in self.fields
                if field.name in raw
            }
        )

    def profile(self, name: ProfileName) -> dict[str, RawValue]:
        """Return the values of all fields for a profile."""
        chosen = profile_settings(name, explicit={})
        return {field.name: chosen.get(field.name, field.default) for field in self.fields}


def option_words(settings: RestoreSettings) -> list[str]:
    """Return the options of a command line for all settings that differ from their defaults."""
    words: list[str] = []
    for setting in settings_of(RestoreSettings):
        value = getattr(settings, setting.name)
        if setting.option.per_run or value == setting.default:
            continue
        # As one word, so that no value is mistaken for an option.
        words.append(setting.flag if value is True else f"{setting.flag}={_text(setting, value)}")
    return words


def _choices(setting: Setting) -> tuple[str, ...]:
    # Several items of a list may be chosen, as text.
    return () if setting.is_list else tuple(map(str, setting.choices))


def _text(setting: Setting, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.{_TIME_DIGITS}g}"
    if isinstance(value, Fraction) and setting.option.metavar == "TIME":
        return f"{float(value):.{_TIME_DIGITS}f}".rstrip("0").rstrip(".")
    return str(value)


def _switch(raw: RawValue) -> bool:
    if not isinstance(raw, bool):
        raise ValueError(f"must be on or off, got {raw!r}")
    return raw


def _read(setting: Setting, raw: RawValue) -> Any:
    text = str(raw).strip()
    if setting.choices and not setting.is_list:
        return next(choice for choice in setting.choices if str(choice) == text)
    if (reader := value_reader(setting)) is not None:
        return reader(text)
    if setting.type in (int, float):
        return setting.type(text)
    if not text.isprintable():
        raise ValueError("must be one line of plain text")
    return text

"""Profiles: named sets of settings, each for one purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from vidrestore.settings.option import setting_of
from vidrestore.settings.restoration import RestoreSettings

ProfileName: TypeAlias = Literal["archive", "watch", "sharp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named set of settings; a setting that is given explicitly replaces its value."""

    help: str
    """What it is for, and what it costs."""
    settings: Mapping[str, Any]
    """Name of a field of ``RestoreSettings`` -> value; all others have their defaults."""

    def option_words(self) -> list[str]:
        """Return the options that it stands for, as they are typed."""
        return [
            setting_of(RestoreSettings, name).words(value) for name, value in self.settings.items()
        ]


PROFILES: Mapping[ProfileName, Profile] = MappingProxyType(
    {
        "archive": Profile(
            help="For a master: stay as close to the film as possible, write lossless video and a "
            "record, and prove at the end that only faces changed. The file is several times "
            "larger, and the proof decodes both films once more.",
            settings=MappingProxyType({"detail": 0.0, "codec": "ffv1", "verify": True}),
        ),
        "watch": Profile(
            help="For watching: the defaults, clear but not hard, visually lossless H.264.",
            settings=MappingProxyType({}),
        ),
        "sharp": Profile(
            help="As sharp as the model can draw. It takes no more time, but more of the fine "
            "detail is plausible rather than real.",
            settings=MappingProxyType({"detail": 1.0}),
        ),
    }
)


def profile_settings(name: ProfileName, *, explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a profile brings beside those that are given.

    Its detail is meant for the default model: another model that is given keeps its own.

    Args:
        name: Name of the profile.
        explicit: Settings that are given, by name.
    """
    names_model = "model" in explicit
    return {
        setting: value
        for setting, value in PROFILES[name].settings.items()
        if setting not in explicit and not (names_model and setting == "detail")
    }

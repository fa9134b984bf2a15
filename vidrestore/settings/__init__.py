"""Every setting once: its name, type, default, range, help and group. Needs no library."""

from vidrestore.settings.codecs import CODECS, CodecName, check_encoding
from vidrestore.settings.frames import DetectorName, MaskShape, RepairName
from vidrestore.settings.job import EngineName, JobSettings
from vidrestore.settings.option import (
    GROUPS,
    Group,
    Option,
    Setting,
    check_options,
    config_from,
    only_affecting,
    option,
    required,
    same_option,
    setting_of,
    settings_of,
)
from vidrestore.settings.option_text import (
    is_repeated,
    parse_rate,
    parse_time,
    parse_tracks,
    value_reader,
)
from vidrestore.settings.profiles import PROFILES, Profile, ProfileName, profile_settings
from vidrestore.settings.restoration import Deinterlace, PrecisionName, RestoreSettings
from vidrestore.settings.track_strength import (
    TrackStrength,
    parse_track_strengths,
    strength_of_track,
)
from vidrestore.settings.upscaler_names import UPSCALER_NAMES, check_upscaler_name

__all__ = [
    "CODECS",
    "GROUPS",
    "PROFILES",
    "UPSCALER_NAMES",
    "CodecName",
    "Deinterlace",
    "DetectorName",
    "EngineName",
    "Group",
    "JobSettings",
    "MaskShape",
    "Option",
    "PrecisionName",
    "Profile",
    "ProfileName",
    "RepairName",
    "RestoreSettings",
    "Setting",
    "TrackStrength",
    "check_encoding",
    "check_options",
    "check_upscaler_name",
    "config_from",
    "is_repeated",
    "only_affecting",
    "option",
    "parse_rate",
    "parse_time",
    "parse_track_strengths",
    "parse_tracks",
    "profile_settings",
    "required",
    "same_option",
    "setting_of",
    "settings_of",
    "strength_of_track",
    "value_reader",
]

"""The text of ``--help``: options in groups by purpose, the most used first."""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import MISSING
from functools import partial

from vidrestore.settings import GROUPS, Setting

_MIN_WIDTH, _MAX_WIDTH = 60, 100
_NAMES_WIDTH = 30
"""Width of the column of option names."""
_MOST_USED = "Most used"


def help_text(settings: Sequence[Setting], usage: str, about: str) -> str:
    """Return the help of a command.

    Args:
        settings: Settings with an option; required ones are listed first.
        usage: The command and its arguments, in short.
        about: Text at the beginning: what the command does.
    """
    width = max(_MIN_WIDTH, min(_MAX_WIDTH, shutil.get_terminal_size().columns))
    # argparse is used only for the layout.
    layout = partial(
        argparse.RawDescriptionHelpFormatter, max_help_position=_NAMES_WIDTH, width=width
    )
    parser = argparse.ArgumentParser(
        usage=usage, description=about, formatter_class=layout, add_help=False
    )
    groups = {name: parser.add_argument_group(name) for name in (_MOST_USED, *GROUPS)}
    for setting in sorted(settings, key=lambda setting: setting.default is not MISSING):
        option = setting.option
        group = groups[_MOST_USED if option.common or option.positional else option.group]
        text = " ".join(filter(None, (option.help, _default(setting)))).replace("%", "%%")
        if option.positional:
            group.add_argument(setting.name, metavar=setting.metavar, help=text)
        elif setting.type is bool:
            group.add_argument(setting.flag, action="store_true", help=text)
        else:
            names = [option.short] if option.short else []
            group.add_argument(*names, setting.flag, metavar=setting.metavar, help=text)
    return parser.format_help().rstrip()


def default_text(setting: Setting) -> str:
    """Return the default of a setting as text; empty if there is none."""
    if setting.default is MISSING:
        return "required"
    if setting.default is None or setting.default == ():
        return setting.option.means
    if isinstance(setting.default, bool):
        return "off"
    return f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)


def _default(setting: Setting) -> str:
    text = "" if setting.type is bool or setting.option.positional else default_text(setting)
    return "" if text in ("", "required") else f"(default: {text})"

"""``vidrestore completions bash|zsh|fish``: a script that completes options in a shell."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.settings import JobSettings, RestoreSettings, Setting, settings_of

_DESCRIPTION_CHARS = 60
_WEIGHTS_COMMANDS = ("list", "fetch", "verify", "path")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionsCommand:
    """Print a script that completes commands, options and their values in a shell.

    bash: `eval "$(vidrestore completions bash)"` in ~/.bashrc; zsh: the same with zsh in ~/.zshrc;
    fish: `vidrestore completions fish > ~/.config/fish/completions/vidrestore.fish`.
    """

    shell: Annotated[
        tyro.conf.Positional[Literal["bash", "zsh", "fish"]], tyro.conf.arg(metavar="bash|zsh|fish")
    ]
    """The shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    flag: str
    short: str = ""
    help: str = ""
    words: tuple[str, ...] = ()
    """Values to choose from."""
    takes_value: bool = False
    takes_file: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.short, self.flag) if self.short else (self.flag,)


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore completions``."""
    command = parse_command(CompletionsCommand, "completions", argv)
    options = dict(_options_by_command())
    if command.shell == "fish":
        print(_fish_script(options))
        return ExitCode.OK
    if command.shell == "zsh":
        print("(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }")
        print("autoload -Uz bashcompinit && bashcompinit")
    print(_bash_script(options))
    return ExitCode.OK


def _options_by_command() -> Iterator[tuple[str, list[_Option]]]:
    """Yield every command with its options; the name of the root command is empty."""
    # Imported late: nothing else needs all commands at once.
    from vidrestore.cli import batch, info, profiles, restore, review, train, tune, verify, web

    for name, owner, excluded in (
        ("", restore.RestoreCommand, ()),
        ("batch", batch.BatchCommand, batch.EXCLUDED),
    ):
        settings: dict[str, Setting] = {}
        for cls in (owner, RestoreSettings, JobSettings):
            settings = {setting.name: setting for setting in settings_of(cls)} | settings
        yield (
            name,
            [
                _setting_option(setting)
                for setting in settings.values()
                if setting.name not in excluded and not setting.option.positional
            ],
        )
    for name, command in (
        ("info", info.InfoCommand),
        ("verify", verify.VerifyCommand),
        ("review", review.ReviewCommand),
        ("web", web.WebCommand),
        ("profiles", profiles.ProfilesCommand),
        ("completions", CompletionsCommand),
        ("train", train.TrainCommand),
        ("tune", tune.TuneCommand),
    ):
        yield name, [*_command_options(command)]
    yield "weights", []


def _setting_option(setting: Setting) -> _Option:
    metavar = setting.metavar.strip("[]")
    words = setting.choices or re.findall(r"(?<![^|])\.?[a-z][\w-]*(?![^|])", metavar)
    return _Option(
        flag=setting.flag,
        short=setting.option.short,
        help=setting.option.help,
        words=tuple(map(str, words)),
        takes_value=setting.type is not bool,
        takes_file="FILE" in metavar or "FOLDER" in metavar,
    )


def _command_options(command: type) -> Iterator[_Option]:
    """Yield the options of a command that is declared for tyro alone."""
    hints = get_type_hints(command, include_extras=True)
    for field in fields(command):
        hint: Any = hints[field.name]
        if any("Positional" in str(marker) for marker in get_args(hint)[1:]):
            continue
        yield _Option(
            flag="--" + field.name.replace("_", "-"),
            takes_value=hint is not bool,
            takes_file="Path" in str(hint),
        )


def _bash_script(options: dict[str, list[_Option]]) -> str:
    """Return a script for bash, which zsh can run, too."""
    commands = " ".join(filter(None, options))
    lines = [
        "_vidrestore() {",
        '    local word="$2" before="$3" command="" words="" argument',
        '    for argument in "${COMP_WORDS[@]}"; do',
        f'        case "$argument" in {"|".join(filter(None, options))})',
        '            command="$argument"; break;;',
        "        esac",
        "    done",
        "    COMPREPLY=()",
        '    case "$command $before" in',
    ]
    for command, command_options in options.items():
        for option in command_options:
            if option.takes_value:
                patterns = "|".join(f'"{command} {name}"' for name in option.names)
                words = " ".join(option.words)
                files = "true" if option.takes_file else "false"
                lines.append(f'        {patterns}) _vidrestore_values "{words}" {files}; return;;')
    lines += ["    esac", '    case "$command" in']
    for command, command_options in options.items():
        names = " ".join(name for option in command_options for name in option.names)
        lines.append(f'        "{command}") words="{names} --help";;')
    lines += [
        "    esac",
        '    if [[ "$word" == -* ]]; then',
        '        COMPREPLY=($(compgen -W "$words" -- "$word"))',
        '    elif [[ "$command" == weights ]]; then',
        f'        COMPREPLY=($(compgen -W "{" ".join(_WEIGHTS_COMMANDS)}" -- "$word"))',
        '    elif [[ "$command" == completions ]]; then',
        '        COMPREPLY=($(compgen -W "bash zsh fish" -- "$word"))',
        '    elif [[ -z "$command" && "$before" == *vidrestore ]]; then',
        f'        COMPREPLY=($(compgen -W "{commands}" -- "$word") $(compgen -f -- "$word"))',
        "    else",
        '        COMPREPLY=($(compgen -f -- "$word"))',
        "    fi",
        "}",
        "_vidrestore_values() {",
        '    COMPREPLY=($(compgen -W "$1" -- "$word"))',
        '    if $2; then COMPREPLY+=($(compgen -f -- "$word")); fi',
        "}",
        "complete -o filenames -F _vidrestore vidrestore",
    ]
    return "\n".join(lines)


def _fish_script(options: dict[str, list[_Option]]) -> str:
    """Return a script for fish."""
    named = " ".join(filter(None, options))
    root = f"not __fish_seen_subcommand_from {named}"
    lines = [
        f"complete -c vidrestore -n '__fish_is_first_arg' -a '{named}'",
        "complete -c vidrestore -n '__fish_seen_subcommand_from weights' -f "
        f"-a '{' '.join(_WEIGHTS_COMMANDS)}'",
        "complete -c vidrestore -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'",
        "complete -c vidrestore -l help -s h -d 'Show the options'",
    ]
    for command, command_options in options.items():
        condition = f"__fish_seen_subcommand_from {command}" if command else root
        for option in command_options:
            words = [f"complete -c vidrestore -n '{condition}' -l {option.flag[2:]}"]
            words += [f"-s {option.short[1:]}"] if option.short else []
            if option.takes_value:
                words.append("-r" if option.takes_file else "-x")
            words += [f"-a '{' '.join(option.words)}'"] if option.words else []
            words += [f"-d '{_description(option.help)}'"] if option.help else []
            lines.append(" ".join(words))
    return "\n".join(lines)


def _description(text: str) -> str:
    """Return the start of a help text, safe between single quotes of a shell."""
    sentence = re.split(r"[.;](?= |$)", text)[0].replace("\\", "").replace("'", "")
    return (
        sentence
        if len(sentence) <= _DESCRIPTION_CHARS
        else (sentence[:_DESCRIPTION_CHARS].rsplit(" ", 1)[0] + " ...")
    )

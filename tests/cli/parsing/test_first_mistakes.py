"""What new users type out of habit gets one line that says what to type instead."""

from pathlib import Path

import pytest

from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.restore import parse_restore


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("in.mp4 out.mp4", "vidrestore in.mp4 -o out.mp4"),
        ("in.mp4 out.mp4 --crf 12", "vidrestore in.mp4 -o out.mp4 --crf 12"),
        ("-i in.mp4 -o out.mp4", "the source is given without an option"),
        ("in.mp4 -o out.mp4 --upscale 2", "--background --scale 2"),
        ("in.mp4 -o out.mp4 --gpu", "--device cuda"),
        ("in.mp4 -o out.mp4 --gpu=1", "--device cuda"),
        ("in.mp4 -o out.mp4 -w 0.5", "--strength 0.5"),
    ],
)
def test_the_error_names_the_command_to_use(
    line: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == ExitCode.USAGE

    (error,) = capfd.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(
    ("line", "codec"),
    [
        ("in.mp4 -o out.webm", "av1"),
        ("in.mp4 -o out.WEBM --crf 30", "av1"),
        ("in.mp4 -o out.webm --codec ffv1", "ffv1"),
        ("in.mp4 -o out.mp4", "h264"),
    ],
)
def test_webm_defaults_to_a_codec_it_supports(line: str, codec: str) -> None:
    command, arguments = parse_restore(line.split())

    assert command.source == Path("in.mp4")
    assert arguments.typed.codec == codec

import json
from functools import partial
from pathlib import Path

import pytest
from support.clips import Clip, Sound, make_clip
from support.verify_cases import record_of, restored_copy, with_faces, without

from vidrestore.cli import main


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("film") / "film.mkv", Clip(sounds=(Sound(codec="flac"),))
    )


def test_a_faithful_result_prints_a_table_and_returns_0(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = restored_copy(film, tmp_path / "r.mkv", with_faces)
    record = record_of(film, tmp_path / "r.jsonl")

    # The wording of --report takes the record, too.
    for option in ("--record", "--report"):
        assert main(["verify", str(film), str(result), option, str(record)]) == 0
        lines = capsys.readouterr().out.splitlines()
        names = {line.split("  ")[0] for line in lines}
        assert {"frames", "timestamps", "samples outside masks", "record"} <= names
        assert sum(" kept " in line for line in lines) == len(lines) - 1
        assert lines[-1].endswith("r.mkv: all checks passed")


def test_a_damaged_result_lists_the_changes_and_returns_1(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = restored_copy(film, tmp_path / "r.mkv", partial(without, indexes=(5,)))

    assert main(["verify", str(film), str(result)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["frames", "changed"] for line in lines)
    assert lines[-1].endswith("r.mkv: changed: frames")


def test_verify_json_has_the_values_of_the_table(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = restored_copy(film, tmp_path / "r.mkv", partial(without, indexes=(5,)))

    assert main(["verify", str(film), str(result), "--json"]) == 1

    output = json.loads(capsys.readouterr().out)
    assert output["kept"] is False
    assert output["checks"][0] == {
        "name": "frames",
        "result": "changed",
        "detail": "12 in the source, 11 in the result; 1 missing, first frame 5 at 0.200 s",
    }


def test_quiet_prints_nothing(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = restored_copy(film, tmp_path / "r.mkv")

    assert main(["verify", str(film), str(result), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("harm", ["cut off", "missing", "not a film"])
def test_an_unreadable_file_is_a_one_line_error_with_code_1(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    result = restored_copy(film, tmp_path / "r.mkv")
    record = record_of(film, tmp_path / "r.jsonl")
    if harm == "cut off":
        record.write_bytes(record.read_bytes()[:-9])
    elif harm == "missing":
        record.unlink()
    else:
        result.write_text("no film")

    assert main(["verify", str(film), str(result), "--record", str(record)]) == 1

    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1


def test_control_characters_in_a_name_are_escaped(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = restored_copy(film, tmp_path / "r\x1b[2J.mkv")
    record = record_of(film, tmp_path / "r.jsonl")
    record.write_text(record.read_text().replace("film.mkv", "\\u001b[2J"))

    assert main(["verify", str(film), str(result), "--record", str(record)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_wrong_command_line_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "film.mkv"]) == 2
    assert "RESULT" in capsys.readouterr().err.upper()

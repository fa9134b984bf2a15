import json
import re
from pathlib import Path

import vidrestore.record
from vidrestore.record import RecordReader
from vidrestore.record.schema import COMPOSITE_SOURCE_TYPE, SCHEMA

PAGE = (Path(vidrestore.record.__file__).parent / "schema.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_is_a_valid_record(tmp_path: Path) -> None:
    example = re.search(r"## Example\n.*?```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    objects = re.split(r"\n(?=\{)", example.group(1).strip())
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(json.loads(object)) + "\n" for object in objects))

    with RecordReader(path) as record:
        frames = list(record)

    assert record.header.digital_source_type == COMPOSITE_SOURCE_TYPE
    assert frames[0].faces[0].mask_xyxy == (624, 42, 970, 452)


def test_the_page_names_every_field_of_a_record() -> None:
    example = re.search(r"## Example\n.*?```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    named = set(re.findall(r"`(?:[a-z]+(?:\[\])?\.)?([a-z_0-9]+)`", PAGE))

    for text in re.split(r"\n(?=\{)", example.group(1).strip()):
        output = json.loads(text)
        for nested in ("source", "output"):
            assert set(output.get(nested, {})) <= named
        for face in output.get("faces", []) if isinstance(output.get("faces"), list) else []:
            assert set(face) <= named
        assert set(output) - {"kind", "source", "output"} <= named
    assert f"`{SCHEMA}`" in PAGE

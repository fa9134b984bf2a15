"""The table of an evaluation: what is in it, and what is left out and why."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from support.faces import example_images
from support.golden import ROOT, load_script
from torchvision.models import mobilenet_v2

evaluate: Any = load_script(ROOT / "scripts" / "evaluate.py")


def folder_of_one_face(folder: Path) -> Path:
    faces = folder / "faces"
    faces.mkdir()
    crop = cv2.resize(example_images(1)[0][100:356, 200:456], (512, 512))
    assert cv2.imwrite(str(faces / "face.png"), crop[:, :, ::-1])
    return faces


def test_the_feature_distance_has_a_column_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = folder_of_one_face(tmp_path)
    torch.manual_seed(0)
    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "mobilenet.pth")
    arguments = ["--data", faces, "--degradation", "none", "--json", tmp_path / "x.json"]

    def table(*more: object) -> dict[str, list[str]]:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, [*arguments, *more])])
        evaluate.main()
        lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
        return {line[0]: line[1:] for line in lines}

    result = table("--features", tmp_path / "mobilenet.pth")
    report = json.loads((tmp_path / "x.json").read_text())
    assert result["mobilenet_distance"] == [
        f"{report[side]['mobilenet_distance']:.4f}" for side in ("input", "output")
    ]
    assert report["input"]["mobilenet_distance"] == 0
    assert result["lpips"][:2] == ["left", "out:"]

    assert "--features package" in " ".join(table()["mobilenet_distance"])
    with pytest.raises(SystemExit, match=r"error: .*none\.pth: file not found"):
        table("--features", tmp_path / "none.pth")


def test_faces_without_originals_get_fewer_metrics_and_a_table_names_count_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = folder_of_one_face(tmp_path)
    report = tmp_path / "x.json"
    arguments = ["evaluate.py", "--data", faces, "--json", report]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments), "--no-reference"])
    evaluate.main()
    output = json.loads(report.read_text())
    assert set(output["output"]) == {"niqe"}
    assert (output["original"], output["count"], output["degradation"]) == ({}, 1, "as they are")

    monkeypatch.setattr(sys, "argv", ["score_table.py", str(report)])
    load_script(ROOT / "scripts" / "score_table.py").main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| lite, detail 0.5 | faces | as they are | 1 | 0 | ")

    monkeypatch.setattr(sys, "argv", [*map(str, arguments), "--inputs", str(faces)])
    evaluate.main()
    assert json.loads(report.read_text())["input"]["psnr"] == 100

"""Reports become one table, with counts and seeds, in Markdown and in LaTeX."""

from typing import Any

import pytest

from vidrestore.metrics.score_table import score_table


def report(model: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": model,
        "detail": None,
        "data": "celeba_test",
        "degradation": "gfpgan",
        "seed": 7,
        "count": 40,
        "networks": {"niqe": "published parameters"},
        "input": {"psnr": 21.994, "niqe": 13.9},
        "output": {"psnr": 23.08, "niqe": float("nan"), "identity_angle": 31.2},
        **changes,
    }


def test_rows_have_data_counts_and_seeds_and_inputs_appear_once() -> None:
    table = score_table([report("lite", detail=0.5), report("gfpgan-1.4"), report("x", seed=8)])
    assert table.headings == [
        *("restorer", "data", "degradation", "n", "seed", "PSNR ↑", "NIQE ↓", "Deg. ↓")
    ]
    assert [row[0] for row in table.rows] == [
        "input",
        "lite, detail 0.5",
        "gfpgan-1.4",
        "input",
        "x",
    ]
    assert table.rows[1][1:] == ["celeba_test", "gfpgan", "40", "7", "23.08", "", "31.20"]
    assert table.rows[0][5:] == ["21.99", "13.900", ""]


def test_markdown_and_latex_have_the_same_cells() -> None:
    table = score_table([report("a_b | c")])
    lines = table.markdown().splitlines()
    assert lines[1] == "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    assert lines[3].startswith(r"| a_b \| c | celeba_test |")
    latex = table.latex()
    assert r"a\_b | c & celeba\_test & gfpgan & 40 & 7 & 23.08 &  & 31.20 \\" in latex
    assert r"PSNR $\uparrow$" in latex
    assert latex.startswith(r"\begin{tabular}{lllrrrrr}")


def test_incompatible_score_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="niqe was measured by published parameters and by ours"):
        score_table([report("a"), report("b", networks={"niqe": "ours"})])
    with pytest.raises(ValueError, match=r"not a report of scripts/evaluate\.py: no 'data'"):
        score_table([{"model": "a", "count": 3}])

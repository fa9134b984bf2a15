"""Reports of ``scripts/evaluate.py`` as one table, in Markdown or LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS: Mapping[str, tuple[str, int]] = {
    "psnr": ("PSNR ↑", 2),
    "ssim": ("SSIM ↑", 4),
    "ms_ssim": ("MS-SSIM ↑", 4),
    "lpips": ("LPIPS (AlexNet) ↓", 4),
    "lpips_vgg": ("LPIPS (VGG) ↓", 4),
    "st_lpips": ("ST-LPIPS (AlexNet) ↓", 4),
    "mobilenet_distance": ("MobileNet ↓", 4),
    "vgg19_distance": ("VGG-19 ↓", 4),
    "fid": ("FID ↓", 2),
    "niqe": ("NIQE ↓", 3),
    "identity": ("identity ↑", 3),
    "identity_angle": ("Deg. ↓", 2),
    "landmark_distance": ("LMD ↓", 2),
    "sharpness": ("sharpness", 3),
    "warping_error": ("warping error ↓", 3),
    "flicker": ("flicker ↓", 3),
    "tof": ("tOF ↓", 3),
    "identity_jitter": ("identity jitter ↓", 2),
    "identity_spread": ("identity spread ↓", 3),
    "landmark_jitter": ("landmark jitter ↓", 2),
}
"""Metric -> heading with the better direction, and decimals."""
_LEADING = ("restorer", "data", "degradation", "n", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Headings, and rows of as many cells."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table in Markdown."""
        numbers = ["---"] * 3 + ["---:"] * (len(self.headings) - 3)
        lines = [_markdown_row(self.headings), _markdown_row(numbers)]
        return "\n".join([*lines, *map(_markdown_row, self.rows)]) + "\n"

    def latex(self) -> str:
        """Return the table as a LaTeX ``tabular``, which needs the package ``booktabs``."""
        columns = "lll" + "r" * (len(self.headings) - 3)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(self.headings)]
        lines += [r"\midrule", *map(_latex_row, self.rows), r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines) + "\n"


def score_table(reports: Iterable[Mapping[str, Any]]) -> ScoreTable:
    """Return a row for every report, after one for the inputs of each data set.

    Args:
        reports: As ``scripts/evaluate.py --json`` writes them.

    Raises:
        ValueError: A report has no scores, or two measured one metric by different networks.
    """
    listed = list(reports)
    _check_networks(listed)
    lines: list[tuple[list[str], Mapping[str, float]]] = []
    origins: set[tuple[str, ...]] = set()
    for report in listed:
        try:
            count = report["count"] if "count" in report else len(report["pictures"])
            origin = [str(report[key]) for key in ("data", "degradation")]
            origin += [str(count), str(report["seed"])]
            detail = report.get("detail")
            name = report["model"] if detail is None else f"{report['model']}, detail {detail:g}"
            if tuple(origin) not in origins:
                lines.append((["input", *origin], report["input"]))
                origins.add(tuple(origin))
            lines.append(([str(name), *origin], report["output"]))
        except KeyError as error:
            raise ValueError(f"not a report of scripts/evaluate.py: no {error}") from error
    metrics = [key for key in COLUMNS if any(key in scores for _, scores in lines)]
    rows = [[*origin, *(_cell(scores, key) for key in metrics)] for origin, scores in lines]
    return ScoreTable(headings=[*_LEADING, *(COLUMNS[key][0] for key in metrics)], rows=rows)


def _check_networks(reports: Sequence[Mapping[str, Any]]) -> None:
    known: dict[str, str] = {}
    for report in reports:
        networks: Mapping[str, str] = report.get("networks", {})
        for metric, network in networks.items():
            if known.setdefault(metric, network) != network:
                raise ValueError(
                    f"{metric} was measured by {known[metric]} and by {network}, which cannot be "
                    "compared; measure again with the same files"
                )


def _cell(scores: Mapping[str, float], metric: str) -> str:
    value = scores.get(metric)
    return "" if value is None or value != value else f"{value:.{COLUMNS[metric][1]}f}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _latex_row(cells: Sequence[str]) -> str:
    escaped = " & ".join(_latex(cell) for cell in cells)
    return escaped.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$") + r" \\"


def _latex(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)

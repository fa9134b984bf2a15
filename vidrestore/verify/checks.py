"""The result of a verification: one check for each promise."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Result: TypeAlias = Literal["kept", "changed", "not promised", "not checked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise, and whether it was kept."""

    name: str
    result: Result
    detail: str
    """What was compared, or where the first difference is, or why nothing was compared."""

    def __post_init__(self) -> None:
        if not self.name or not self.detail:
            raise ValueError(f"a check needs a name and a detail, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of a result against its source."""

    source: str
    result: str
    checks: tuple[Check, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing that was promised and compared is changed."""
        return all(check.result != "changed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "source": self.source,
            "result": self.result,
            "kept": self.kept,
            "checks": [asdict(check) for check in self.checks],
        }


def kept(name: str, detail: str) -> Check:
    """Return the check of a promise that was kept."""
    return Check(name=name, result="kept", detail=detail)


def changed(name: str, detail: str) -> Check:
    """Return the check of a promise that was broken."""
    return Check(name=name, result="changed", detail=detail)


def not_promised(name: str, detail: str) -> Check:
    """Return the check of something that may differ, with the reason."""
    return Check(name=name, result="not promised", detail=detail)


def not_checked(name: str, detail: str) -> Check:
    """Return the check of something that was not compared, with the reason."""
    return Check(name=name, result="not checked", detail=detail)


def seconds_text(seconds: Any) -> str:
    """Return a time as text, with 3 to 6 decimal places."""
    text = f"{float(seconds):.6f}".rstrip("0")
    integer, _, decimals = text.partition(".")
    return f"{integer}.{decimals:0<3} s"

"""The fields of a JSON object, taken one by one and checked: the file may come from anyone."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar, cast

from vidrestore.record.schema import JsonScalar, PointsXy

T = TypeVar("T")

_LARGEST = 1e15
_PLAIN: dict[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def json_object(text: str) -> dict[str, Any]:
    """Return the object that ``text`` is.

    Raises:
        ValueError: It is no JSON, no object, or has a name twice or numbers that are none.
    """
    try:
        found: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {shown(found)}")
    return cast("dict[str, Any]", found)


def shown(value: Any) -> str:
    """Return the beginning of ``value`` as JSON, for a message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class Fields:
    """The fields of one object; ``build`` refuses what was not taken."""

    def __init__(self, values: dict[str, Any], where: str = "") -> None:
        self._values = values
        self._where = where

    def text(self, name: str) -> str:
        """Take a text."""
        return self._of(name, str)

    def integer(self, name: str) -> int:
        """Take a whole number."""
        return self._of(name, int)

    def truth(self, name: str) -> bool:
        """Take true or false."""
        return self._of(name, bool)

    def number(self, name: str) -> float:
        """Take a finite number."""
        return _number(self._take(name), self._where + name)

    def optional(self, name: str, take: Callable[[str], T]) -> T | None:
        """Take what ``take`` takes, or null."""
        if name in self._values and self._values[name] is None:
            del self._values[name]
            return None
        return take(name)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Take ``count`` finite numbers."""
        return _numbers(self._take(name), self._where + name, count)

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """Take ``count`` whole numbers."""
        items = _list(self._take(name), self._where + name, count)
        if not all(type(item) is int for item in items):
            raise ValueError(f"{self._where}{name}: expected whole numbers, got {shown(items)}")
        return tuple(items)

    def points(self, name: str) -> PointsXy:
        """Take five points."""
        where = self._where + name
        points = [_numbers(item, where, 2) for item in _list(self._take(name), where, 5)]
        return tuple((x, y) for x, y in points)

    def fraction(self, name: str) -> Fraction:
        """Take ``"numerator/denominator"``, more than 0."""
        text = self.text(name)
        above, _, below = text.partition("/")
        if len(text) > 40 or not all(part.isascii() and part.isdigit() for part in (above, below)):
            said = f'expected "numerator/denominator", got {shown(text)}'
            raise ValueError(f"{self._where}{name}: {said}")
        if not int(below):
            raise ValueError(f"{self._where}{name}: divides by 0")
        return Fraction(int(above), int(below))

    def object(self, name: str) -> "Fields":
        """Take an object."""
        values = cast("dict[str, Any]", self._of(name, dict))
        return Fields(values, f"{self._where}{name}.")

    def objects(self, name: str, at_most: int) -> list["Fields"]:
        """Take a list of objects."""
        items = cast("list[Any]", self._of(name, list))
        where = f"{self._where}{name}"
        if len(items) > at_most:
            raise ValueError(f"{where}: expected at most {at_most}, got {len(items)}")
        for at, item in enumerate(items):
            if not isinstance(item, dict):
                raise ValueError(f"{where}[{at}]: expected an object, got {shown(item)}")
        return [Fields(item, f"{where}[{at}].") for at, item in enumerate(items)]

    def scalars(self, name: str, at_most: int) -> dict[str, JsonScalar]:
        """Take an object of single values, whatever their names."""
        values = cast("dict[str, Any]", self._of(name, dict))
        where = f"{self._where}{name}"
        if len(values) > at_most:
            raise ValueError(f"{where}: expected at most {at_most}, got {len(values)}")
        for key, value in values.items():
            if isinstance(value, (dict, list)):
                said = f"expected one value, got {shown(cast('Any', value))}"
                raise ValueError(f"{where}.{key[:40]}: {said}")
        return values

    def build(self, kind: Callable[..., T], **values: Any) -> T:
        """Return ``kind(**values)``.

        Raises:
            ValueError: A field was not taken, or ``kind`` refuses a value.
        """
        if self._values:
            raise ValueError(f"{self._where}{next(iter(self._values))[:40]}: unknown field")
        try:
            return kind(**values)
        except ValueError as error:
            raise ValueError(f"{self._where}{error}") from error

    def _take(self, name: str) -> Any:
        if name not in self._values:
            raise ValueError(f"{self._where}{name}: is missing")
        return self._values.pop(name)

    def _of(self, name: str, kind: type[T]) -> T:
        value = self._take(name)
        # Not isinstance: true is an int to Python, and not to JSON.
        if type(value) is not kind:
            said = f"expected {_PLAIN[kind]}, got {shown(value)}"
            raise ValueError(f"{self._where}{name}: {said}")
        return cast("T", value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return fields


def _list(value: Any, where: str, count: int) -> list[Any]:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != count:
        raise ValueError(f"{where}: expected a list of {count}, got {shown(value)}")
    return cast("list[Any]", value)


def _numbers(value: Any, where: str, count: int) -> tuple[float, ...]:
    return tuple(_number(item, where) for item in _list(value, where, count))


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{where}: expected a number, got {shown(value)}")
    # JSON allows 1e999, which is read as infinite, and whole numbers too large for a float.
    if abs(value) > _LARGEST or not math.isfinite(value):
        raise ValueError(f"{where}: expected a number of usual size, got {shown(value)}")
    return float(value)


# One for all lines: a decoder refers to itself, and would stay until garbage is collected.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_repetition)

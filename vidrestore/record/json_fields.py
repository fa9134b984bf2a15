"""Checked access to the fields of a JSON object from an untrusted file."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar, cast

from vidrestore.record.schema import JsonScalar, PointsXy
from vidrestore.types import Box

T = TypeVar("T")

_MAX_NUMBER = 1e15
_TYPE_NAMES: dict[type, str] = {
    str: "text",
    int: "an integer",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: ``text`` is not JSON or not an object, repeats a name, or has NaN or infinity.
    """
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {json_excerpt(value)}")
    return cast("dict[str, Any]", value)


def json_excerpt(value: Any) -> str:
    """Return the start of ``value`` as JSON, for a message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class JsonObject:
    """The fields of an object, each read once; ``build`` refuses fields that were not read."""

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def text(self, name: str) -> str:
        """Return a string."""
        return self._of(name, str)

    def integer(self, name: str) -> int:
        """Return an integer."""
        return self._of(name, int)

    def boolean(self, name: str) -> bool:
        """Return a boolean."""
        return self._of(name, bool)

    def number(self, name: str) -> float:
        """Return a finite number."""
        return _number(self._take(name), self._path + name)

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """Return what ``read`` returns, or None for null."""
        if name in self._values and self._values[name] is None:
            del self._values[name]
            return None
        return read(name)

    def has_value(self, name: str) -> bool:
        """Return whether a field is present and not null; a null field counts as read."""
        if name in self._values and self._values[name] is None:
            del self._values[name]
        return name in self._values

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Return ``count`` finite numbers."""
        return _numbers(self._take(name), self._path + name, count)

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """Return ``count`` integers."""
        return _integers(self._take(name), self._path + name, count)

    def boxes(self, name: str, max_count: int) -> tuple[Box, ...]:
        """Return a list of boxes of four integers each."""
        items, path = self._items(name, max_count)
        boxes = (_integers(item, path, 4) for item in items)
        return tuple((left, top, right, bottom) for left, top, right, bottom in boxes)

    def points(self, name: str) -> PointsXy:
        """Return five points."""
        path = self._path + name
        points = [_numbers(item, path, 2) for item in _list(self._take(name), path, 5)]
        return tuple((x, y) for x, y in points)

    def fraction(self, name: str) -> Fraction:
        """Return a fraction above 0, written ``"numerator/denominator"``."""
        text = self.text(name)
        numerator, _, denominator = text.partition("/")
        digits = (numerator, denominator)
        if len(text) > 40 or not all(part.isascii() and part.isdigit() for part in digits):
            raise ValueError(
                f'{self._path}{name}: expected "numerator/denominator", got {json_excerpt(text)}'
            )
        if not int(denominator):
            raise ValueError(f"{self._path}{name}: divides by 0")
        return Fraction(int(numerator), int(denominator))

    def object(self, name: str) -> "JsonObject":
        """Return an object."""
        values = cast("dict[str, Any]", self._of(name, dict))
        return JsonObject(values, f"{self._path}{name}.")

    def objects(self, name: str, max_count: int) -> list["JsonObject"]:
        """Return a list of objects."""
        items, path = self._items(name, max_count)
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                raise ValueError(f"{path}[{index}]: expected an object, got {json_excerpt(item)}")
        return [JsonObject(item, f"{path}[{index}].") for index, item in enumerate(items)]

    def _items(self, name: str, max_count: int) -> tuple[list[Any], str]:
        items = cast("list[Any]", self._of(name, list))
        path = f"{self._path}{name}"
        if len(items) > max_count:
            raise ValueError(f"{path}: expected at most {max_count}, got {len(items)}")
        return items, path

    def scalars(self, name: str, max_count: int) -> dict[str, JsonScalar]:
        """Return an object of single values with any names."""
        values = cast("dict[str, Any]", self._of(name, dict))
        path = f"{self._path}{name}"
        if len(values) > max_count:
            raise ValueError(f"{path}: expected at most {max_count}, got {len(values)}")
        for key, value in values.items():
            if isinstance(value, (dict, list)):
                excerpt = json_excerpt(cast("Any", value))
                raise ValueError(f"{path}.{key[:40]}: expected one value, got {excerpt}")
        return values

    def build(self, kind: Callable[..., T], **values: Any) -> T:
        """Return ``kind(**values)``.

        Raises:
            ValueError: A field was not read, or ``kind`` refuses a value.
        """
        if self._values:
            raise ValueError(f"{self._path}{next(iter(self._values))[:40]}: unknown field")
        try:
            return kind(**values)
        except ValueError as error:
            raise ValueError(f"{self._path}{error}") from error

    def _take(self, name: str) -> Any:
        if name not in self._values:
            raise ValueError(f"{self._path}{name}: missing")
        return self._values.pop(name)

    def _of(self, name: str, kind: type[T]) -> T:
        value = self._take(name)
        # Not isinstance: true is an int in Python, but not in JSON.
        if type(value) is not kind:
            excerpt = json_excerpt(value)
            raise ValueError(f"{self._path}{name}: expected {_TYPE_NAMES[kind]}, got {excerpt}")
        return cast("T", value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is repeated in one object")
    return fields


def _list(value: Any, path: str, count: int) -> list[Any]:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != count:
        raise ValueError(f"{path}: expected a list of {count}, got {json_excerpt(value)}")
    return cast("list[Any]", value)


def _integers(value: Any, path: str, count: int) -> tuple[int, ...]:
    items = _list(value, path, count)
    if not all(type(item) is int for item in items):
        raise ValueError(f"{path}: expected integers, got {json_excerpt(items)}")
    return tuple(items)


def _numbers(value: Any, path: str, count: int) -> tuple[float, ...]:
    return tuple(_number(item, path) for item in _list(value, path, count))


def _number(value: Any, path: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{path}: expected a number, got {json_excerpt(value)}")
    # JSON allows 1e999, which is read as infinity, and integers too large for a float.
    if abs(value) > _MAX_NUMBER or not math.isfinite(value):
        raise ValueError(f"{path}: number out of range: {json_excerpt(value)}")
    return float(value)


# One for all lines: a decoder refers to itself, so only the garbage collector frees it.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_fields)

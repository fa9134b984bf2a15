"""JSON from an untrusted file into dataclasses, checked by the types of their fields."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from vidrestore.record.schema import JsonScalar
from vidrestore.types import ToneCurve

T = TypeVar("T")
Read: TypeAlias = Callable[[Any, str], Any]
"""Checks and converts a JSON value; the text is its place, for messages."""

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
        return _object(_DECODER.decode(text), "")
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_excerpt(value: Any) -> str:
    """Return the start of ``value`` as JSON, for a message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def read_object(kind: type[T], value: Any, place: str = "") -> T:
    """Return a dataclass from a JSON object that has exactly its fields.

    Raises:
        ValueError: A field is missing, unknown or of another type, or ``kind`` refuses a value; the
            message names the field.
    """
    values = {**_object(value, place)}
    prefix = f"{place}." if place else ""
    converted: dict[str, Any] = {}
    for name, read in _field_readers(kind):
        if name not in values:
            raise ValueError(f"{prefix}{name}: missing")
        converted[name] = read(values.pop(name), prefix + name)
    if values:
        raise ValueError(f"{prefix}{next(iter(values))[:40]}: unknown field")
    try:
        return kind(**converted)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


@cache
def _field_readers(kind: Any) -> list[tuple[str, Read]]:
    hints = get_type_hints(kind)
    return [(field.name, _reader(hints[field.name])) for field in fields(kind)]


def _reader(hint: Any) -> Read:
    """Return what reads a value of a type."""
    if hint in _READERS:
        return _READERS[hint]
    if is_dataclass(hint):
        return partial(read_object, cast("type[Any]", hint))
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        count = None if arguments[-1] is Ellipsis else len(arguments)
        return partial(_tuple, _reader(arguments[0]), count)
    if get_origin(hint) is UnionType and NoneType in arguments:
        read = _reader(arguments[0])
        return lambda value, place: None if value is None else read(value, place)
    raise TypeError(f"no JSON value is of type {hint}")


def _object(value: Any, place: str) -> dict[str, Any]:
    return cast("dict[str, Any]", _of_type(dict, value, place))


def _of_type(kind: type[T], value: Any, place: str) -> T:
    # Not isinstance: true is an int in Python, but not in JSON.
    if type(value) is not kind:
        where = f"{place}: " if place else ""
        raise ValueError(f"{where}expected {_TYPE_NAMES[kind]}, got {json_excerpt(value)}")
    return cast("T", value)


def _tuple(read: Read, count: int | None, value: Any, place: str) -> tuple[Any, ...]:
    if type(value) is not list or count not in (None, len(cast("list[Any]", value))):
        length = "" if count is None else f" of {count}"
        raise ValueError(f"{place}: expected a list{length}, got {json_excerpt(value)}")
    items = cast("list[Any]", value)
    return tuple(read(item, f"{place}[{index}]") for index, item in enumerate(items))


def _number(value: Any, place: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{place}: expected a number, got {json_excerpt(value)}")
    # JSON allows 1e999, which is read as infinity, and integers too large for a float.
    if abs(value) > _MAX_NUMBER or not math.isfinite(value):
        raise ValueError(f"{place}: number out of range: {json_excerpt(value)}")
    return float(value)


def _fraction(value: Any, place: str) -> Fraction:
    """Read a fraction above 0, written ``"numerator/denominator"``."""
    text = _of_type(str, value, place)
    numerator, _, denominator = text.partition("/")
    digits = (numerator, denominator)
    if len(text) > 40 or not all(part.isascii() and part.isdigit() for part in digits):
        raise ValueError(f'{place}: expected "numerator/denominator", got {json_excerpt(text)}')
    if not int(denominator):
        raise ValueError(f"{place}: divides by 0")
    return Fraction(int(numerator), int(denominator))


def _curve(value: Any, place: str) -> ToneCurve:
    return ToneCurve(_tuple(partial(_of_type, int), None, value, place))


def _scalars(value: Any, place: str) -> dict[str, JsonScalar]:
    """Read an object of single values with any names."""
    values = _object(value, place)
    for key, item in values.items():
        if isinstance(item, (dict, list)):
            excerpt = json_excerpt(cast("Any", item))
            raise ValueError(f"{place}.{key[:40]}: expected one value, got {excerpt}")
    return values


_READERS: Mapping[Any, Read] = {
    **{kind: partial(_of_type, kind) for kind in (str, int, bool)},
    float: _number,
    Fraction: _fraction,
    ToneCurve: _curve,
    Mapping[str, JsonScalar]: _scalars,
}


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name is repeated in one object")
    return values


# One for all lines: a decoder refers to itself, so only the garbage collector frees it.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_fields)

"""TOML and ``--set a.b=c`` into any frozen dataclass, checked key by key.

A renamed field keeps its old key: ``field(metadata={"alias": "old_key"})``.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from vidrestore.errors import ConfigError

T = TypeVar("T")

_MAX_BASES = 4


def read_config(path: Path, schema: type[T], *, overrides: Sequence[str] = ()) -> T:
    """Return ``schema`` filled from a TOML file, then from ``overrides`` (``a.b=value``).

    A key ``base`` names another file, by its path from this one, whose tables this one changes. An
    empty string clears a setting that may be left out.

    Raises:
        ConfigError: The file is unreadable, or a key is unknown or of the wrong type.
    """
    raw = _read_toml(path, schema)
    for override in overrides:
        _override(raw, override, schema)
    return from_mapping(raw, schema, where=path.name)


def _read_toml(path: Path, schema: Any, depth: int = 0) -> dict[str, Any]:
    """Return the tables of a file, over those of its base."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    base = raw.pop("base", None)
    if base is None:
        return raw
    if not isinstance(base, str) or depth == _MAX_BASES:
        raise ConfigError(
            f"{path}: base must be the path of another file, not its own; got {base!r}"
        )
    tables = _read_toml(path.parent / base, schema, depth + 1)
    _merge(tables, raw, schema)
    return tables


def _merge(tables: dict[str, Any], changes: Mapping[str, Any], schema: Any) -> None:
    """Change tables in place; old and present names of a key are one."""
    for key, value in changes.items():
        name = _canonical_key(key, tables, schema)
        table = tables.get(name)
        if isinstance(table, dict) and isinstance(value, dict):
            inner = _table_schema(schema, name)
            _merge(cast("dict[str, Any]", table), cast("dict[str, Any]", value), inner)
        else:
            tables[name] = value


def _override(raw: dict[str, Any], override: str, schema: Any) -> None:
    dotted, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: expected key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, key = dotted.strip().split(".")
    table = raw
    for parent in parents:
        parent = _canonical_key(parent, table, schema)
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"{override!r}: {parent} is not a table; give all of it as {parent}=..."
            )
        table = cast("dict[str, Any]", inner)
        schema = _table_schema(schema, parent)
    table[_canonical_key(key, table, schema)] = value


def _canonical_key(key: str, table: dict[str, Any], schema: Any) -> str:
    """Return a field's present key, by which ``table`` then has it, too."""
    aliases = _aliases(schema)
    name = aliases.get(key, key)
    for alias in [alias for alias in table if aliases.get(alias) == name]:
        table[name] = table.pop(alias)
    return name


def _aliases(schema: Any) -> dict[str, str]:
    """Return old key -> present key of a dataclass."""
    fields = dataclasses.fields(schema) if dataclasses.is_dataclass(schema) else ()
    return {field.metadata["alias"]: field.name for field in fields if "alias" in field.metadata}


def _table_schema(schema: Any, key: str) -> Any:
    """Return the dataclass of a nested table; None where the key is unknown or no table."""
    kind = get_type_hints(schema).get(key) if dataclasses.is_dataclass(schema) else None
    kinds = (kind, *typing.get_args(kind))
    return next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)


def from_mapping(raw: Mapping[str, Any], schema: type[T], *, where: str) -> T:
    """Build the dataclass ``schema`` from ``raw``; every key and type is checked.

    Raises:
        ConfigError: Names the culprit as ``where.key``.
    """
    hints = get_type_hints(schema)
    aliases = _aliases(schema)
    values: dict[str, Any] = {}
    for given_key, value in raw.items():
        key = aliases.get(given_key, given_key)
        if key in values:
            raise ConfigError(f"{where}.{given_key}: is given as {key}, too; remove one of them")
        if key not in hints:
            near = get_close_matches(key, hints, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}.{key}: unknown option{hint}")
        values[key] = _converted(value, hints[key], where=f"{where}.{key}")
    try:
        return schema(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _converted(value: Any, kind: Any, *, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = [argument for argument in arguments if argument is not type(None)]
        if value == "" and len(kinds) < len(arguments):
            return None
        return _converted(value, kinds[0], where=where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        items = cast("list[Any]", value)
        inner = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(items):
            raise ConfigError(f"{where}: expected {len(inner)} values, got {len(items)}")
        return tuple(
            _converted(item, kind, where=f"{where}[{index}]")
            for index, (item, kind) in enumerate(zip(items, inner, strict=True))
        )
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: expected one of {arguments}, got {value!r}")
        return value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a table, got {value!r}")
        return from_mapping(cast("dict[str, Any]", value), cast("type[Any]", kind), where=where)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if type(value) is not kind:
        raise ConfigError(f"{where}: expected {kind.__name__}, got {value!r}")
    return value


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested plain values, ready for JSON."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    return str(value) if isinstance(value, Path) else value

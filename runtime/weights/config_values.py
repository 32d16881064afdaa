"""Typed reading of a checkpoint's config: a missing or ill-typed key is an error that names it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from rnj_agent.runtime.errors import CheckpointError

MAX_CONFIG_INTEGER = 2**31 - 1


class ConfigValues:
    """A view of a config's keys.

    Args:
        values: as parsed from the file.
        where: the file's name, for messages.
        prefix: put before every key ("llama." in GGUF).
    """

    def __init__(self, values: Mapping[str, object], *, where: str, prefix: str = "") -> None:
        self._values = values
        self._where = where
        self._prefix = prefix

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self._where}: {problem}")

    def names(self) -> Sequence[str]:
        """All keys, as the file has them."""
        return list(self._values)

    def has(self, key: str) -> bool:
        """Present and not null."""
        return self._values.get(self._prefix + key) is not None

    def integer(
        self, key: str, default: int | None = None, *, at_most: int = MAX_CONFIG_INTEGER
    ) -> int:
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, "a whole number")
        if not 0 <= value <= at_most:
            raise self._wrong(key, value, f"between 0 and {at_most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self._wrong(key, value, "a number")
        return float(value)

    def number_or_null(self, key: str) -> float | None:
        """A key that must be there, even if its value is null."""
        if self._prefix + key not in self._values:
            raise self._missing(key)
        return self.number(key) if self.has(key) else None

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def texts(self, key: str) -> Sequence[str]:
        value = self._get(key, None)
        if not isinstance(value, list) or not all(
            isinstance(item, str) for item in cast("list[object]", value)
        ):
            raise self._wrong(key, value, "a list of texts")
        return cast("list[str]", value)

    def nested(self, key: str) -> ConfigValues:
        """The object under a key."""
        value = self._get(key, None)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "an object")
        return ConfigValues(cast("dict[str, object]", value), where=f"{self._where}: {key}")

    def _get(self, key: str, default: object) -> object:
        value = self._values.get(self._prefix + key)
        value = default if value is None else value
        if value is None:
            raise self._missing(key)
        return value

    def _missing(self, key: str) -> CheckpointError:
        return self.error(f"the key {self._prefix}{key} is missing, and no default is safe")

    def _wrong(self, key: str, value: object, expected: str) -> CheckpointError:
        return self.error(f"the key {self._prefix}{key} is {value!r:.60}, not {expected}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False

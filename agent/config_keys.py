"""The names that configuration knows: keys of the tree, environment variables, nearest matches.

A key is a path such as ``("limits", "steps")``; ``endpoints`` has a free name in the middle, and
what stands in ``keys`` is named by the app.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, TypeAlias

from pydantic import BaseModel

from rnj_agent.agent.config import Config, EndpointSettings

Key: TypeAlias = tuple[str, ...]

ENDPOINTS: Final = "endpoints"

REPOSITORY_KEYS: Final = frozenset(
    {
        ("fix", "test_cmd"),
        ("limits", "steps"),
        ("limits", "time_s"),
        ("limits", "tokens"),
        ("limits", "format_errors"),
        ("limits", "command_timeout_s"),
        ("model", "protocol"),
        ("model", "temperature"),
        ("model", "max_tokens"),
    }
)
"""What a repository's own ``.rnj/config.toml`` may say. Everything else would let whoever wrote the
repository choose where code runs or where the conversation and the keys go."""

OTHER_VARIABLES: Final = frozenset(
    {
        "RNJ_API_KEY",
        "RNJ_CONFIG",
        "RNJ_DEBUG",
        "RNJ_GITHUB_API",
        "RNJ_HOME",
        "RNJ_ISA",
        "RNJ_STATE",
    }
)
"""RNJ_* variables that are not keys of the tree."""

_SHORT_VARIABLES: Final = {
    "RNJ_MODEL": ("model", "name"),
    "RNJ_ENDPOINT": ("model", "endpoint"),
    "RNJ_SANDBOX": ("sandbox", "kind"),
    "RNJ_PROTOCOL": ("model", "protocol"),
}


def known_keys() -> dict[Key, None]:
    """Every settable key outside ``endpoints``, in the order of the tree."""
    keys: dict[Key, None] = {}
    for section, field in Config.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.update(dict.fromkeys((section, name) for name in kind.model_fields))
    return keys


def is_known(key: Key) -> bool:
    match key:
        case ("endpoints", _, name):
            return name in EndpointSettings.model_fields
        case ("keys", _):  # the app looks at the name itself
            return True
        case _:
            return key in known_keys()


def variables() -> dict[str, Key]:
    """Environment variable -> key: ``RNJ_LIMITS_STEPS``, and short names for the common ones."""
    full = {"RNJ_" + "_".join(key).upper(): key for key in known_keys()}
    return full | _SHORT_VARIABLES


def dotted(key: Key) -> str:
    """As a person writes it in TOML."""
    return ".".join(f'"{part}"' if "." in part else part for part in key)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is closest, or an empty string."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.5)), "")


def nearest_key(key: Key) -> str:
    """The known key that was probably meant, or an empty string.

    A right name in the wrong section is found before a similar spelling.
    """
    if key and key[0] == ENDPOINTS and len(key) == 3:
        name = nearest(key[2], EndpointSettings.model_fields)
        return dotted((*key[:2], name)) if name else ""
    keys = known_keys()
    elsewhere = [dotted(known) for known in keys if known[-1] == key[-1]]
    return elsewhere[0] if elsewhere else nearest(dotted(key), map(dotted, keys))

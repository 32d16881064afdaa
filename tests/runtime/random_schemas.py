"""Random JSON schemas of the kinds that tools have, each satisfiable, and each of bounded size."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

MAX_DEPTH = 3
WORDS = (
    "path",
    "line",
    "new_text",
    "größe",
    "a b",
    'q"uote',
    "back\\slash",
    "x",
    "enabled",
    "名前",
)
PATTERNS = (
    "^[a-z]{1,8}$",
    r"^v\d{1,3}\.\d{1,3}$",
    "^(yes|no|maybe)$",
    "^[^\\s]{2,5}$",
    '^["\\\\/]{1,4}$',
)
FORMATS = ("date", "date-time", "time", "ipv4", "ipv6", "uuid", "email")
TYPES = ("string", "integer", "number", "boolean", "null")


def random_schema(rng: random.Random, depth: int = 0) -> Schema:
    """Of any type; the deeper, the simpler."""
    kinds: list[Callable[[random.Random, int], Schema]] = [
        *(_string, _string, _integer, _number, _choice, _plain),
        *((_object, _object, _array, _any_of) if depth < MAX_DEPTH else ()),
    ]
    return rng.choice(kinds)(rng, depth)


def random_arguments(rng: random.Random) -> Schema:
    """The parameters of a tool."""
    return _object(rng, 0)


def _object(rng: random.Random, depth: int) -> Schema:
    names = rng.sample(WORDS, rng.randint(0, 4))
    schema: Schema = {
        "type": "object",
        "properties": {name: random_schema(rng, depth + 1) for name in names},
        "required": [name for name in names if rng.random() < 0.6],
    }
    others = rng.choice(("none", "none", "open", "typed"))
    if others == "none":
        schema["additionalProperties"] = False
    elif others == "typed":
        schema["additionalProperties"] = {"type": rng.choice(TYPES)}
    return schema


def _array(rng: random.Random, depth: int) -> Schema:
    fewest = rng.randint(0, 3)
    return {
        "type": "array",
        "items": random_schema(rng, depth + 1),
        "minItems": fewest,
        "maxItems": fewest + rng.randint(0, 3),
    }


def _string(rng: random.Random, _depth: int) -> Schema:
    match rng.randrange(4):
        case 0:
            return {"type": "string", "pattern": rng.choice(PATTERNS)}
        case 1:
            return {"type": "string", "format": rng.choice(FORMATS)}
        case 2:
            return {"type": "string"}
        case _:
            shortest = rng.randint(0, 5)
            return {
                "type": "string",
                "minLength": shortest,
                "maxLength": shortest + rng.randint(0, 20),
            }


def _integer(rng: random.Random, _depth: int) -> Schema:
    lowest = rng.randint(-1000, 1000)
    schema: Schema = {"type": "integer"}
    if rng.random() < 0.7:
        schema |= {"minimum": lowest}
    if rng.random() < 0.7:
        schema |= {"maximum": lowest + rng.randint(0, 500)}
    if len(schema) == 1 and rng.random() < 0.5:
        schema |= {"multipleOf": rng.randint(2, 9)}
    return schema


def _number(rng: random.Random, _depth: int) -> Schema:
    lowest = rng.randint(-50, 50) / 4
    return rng.choice(
        (
            {"type": "number"},
            {"type": "number", "minimum": lowest, "maximum": lowest + 2.5},
            {"type": "number", "exclusiveMinimum": lowest},
        )
    )


def _choice(rng: random.Random, _depth: int) -> Schema:
    values: list[Any] = ["a", "b c", "é\n", '"', 3, -1.5, None, True, {"k": [1, "x"]}, []]
    if rng.random() < 0.4:
        return {"const": rng.choice(values)}
    return {"enum": rng.sample(values, rng.randint(1, 5))}


def _plain(rng: random.Random, _depth: int) -> Schema:
    types = rng.sample(TYPES, rng.randint(1, 3))
    return {"type": types[0] if len(types) == 1 else types, "description": "anything of its type"}


def _any_of(rng: random.Random, depth: int) -> Schema:
    options = [random_schema(rng, depth + 1) for _ in range(rng.randint(1, 3))]
    return {"anyOf": [*options, {"type": "null"}] if rng.random() < 0.5 else options}

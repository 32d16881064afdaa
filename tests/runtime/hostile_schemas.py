"""Schemas that ask for much time or memory."""

from __future__ import annotations

from typing import Any

from tests.runtime.random_schemas import Schema


def with_x(**schema: Any) -> Schema:
    return {"type": "object", "properties": {"x": schema}, "required": ["x"]}


def nested(depth: int) -> Schema:
    schema: Schema = {"type": "null"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def doubled(depth: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(depth):
        schema = {"anyOf": [schema, {"type": "array", "items": schema}]}
    return schema


def all_of_twice(depth: int) -> Schema:
    """Each definition stands for two of the next: 2**depth when written out."""
    definitions: Schema = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{depth}": {"type": "string"}}}


def strings(count: int) -> list[Schema]:
    return [with_x(type="string", pattern=f"^{index}[a-z]+$") for index in range(count)]


HOSTILE: dict[str, object] = {
    "repeated repetition": with_x(type="string", pattern="^(a{1000}){1000}$"),
    "more of it": with_x(type="string", pattern="((((a{100}){100}){100}){100})"),
    "backtracking": with_x(type="string", pattern="^(x+x+)+y$"),
    "exponential automaton": with_x(type="string", pattern="^(a|b)*a(a|b){200}$"),
    "the same, with lengths": with_x(
        type="string", pattern="^(a|b)*a(a|b){20}$", minLength=50, maxLength=1000
    ),
    "as a property's name": {"patternProperties": {"^(a|b)*a(a|b){20}$": {}}, "minProperties": 1},
    "long pattern": with_x(type="string", pattern="abc" * 100_000),
    "many words": with_x(type="string", pattern="|".join(f"word{n}" for n in range(20_000))),
    "long string": with_x(type="string", minLength=10**6),
    "longer string": with_x(type="string", maxLength=10**12),
    "many items": with_x(type="array", minItems=10**6, items={"type": "integer"}),
    "lists of lists": nested(40),
    "wide choice": {"anyOf": strings(2_000)},
    "exponential choice": doubled(10),
    "larger exponential choice": doubled(16),
    "exponential allOf": all_of_twice(40),
    "wide range": with_x(type="number", minimum=1e-300, maximum=1e300),
    "wider range": with_x(type="integer", minimum=-(10**400), maximum=10**400),
    "many values": with_x(enum=[f"value {n}" for n in range(50_000)]),
    "many long names": {
        "properties": {"k" * 1000 + str(n): {} for n in range(500)},
        "additionalProperties": {"type": "integer"},
    },
    "recursion": {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]},
    "other rules": {"type": "object", "x-guidance": {"whitespace_pattern": "(((", "lenient": True}},
}

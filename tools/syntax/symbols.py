"""What a source file defines and which names it uses, by its syntax tree.

Not here: what a name refers to. Two definitions of one name are two, and every use of the name is a
use of both. A file without a grammar has neither definitions nor references.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnj_agent.tools.syntax.languages import language_of, parse
from rnj_agent.tools.syntax.node_kinds import (
    DEFINITIONS,
    NAME_FIELDS,
    REFERENCES,
    WRAPPERS,
    SymbolKind,
)

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

MAX_SYMBOLS = 5_000
"""Of one file."""
_MAX_NAME_BYTES = 200
_MAX_LINE_BYTES = 1_000
_MAX_SIGNATURE_CHARS = 120
_MAX_DECLARATORS = 8
# The last part of a name such as ``exports.parse`` or ``List::push``.
_LAST_NAME = re.compile(r"(?:[\w$]+(?:\.|::))*~?([\w$]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A definition. Lines are counted from 1."""

    name: str
    kind: SymbolKind
    line: int
    """Where the name stands."""
    first_line: int
    """Of all that belongs to it: decorators and annotations, too."""
    last_line: int
    signature: str
    """The line with the name, without its indentation, cut where it is long."""

    @property
    def num_lines(self) -> int:
        return self.last_line - self.first_line + 1

    def encloses(self, other: Symbol) -> bool:
        return (
            self is not other
            and self.first_line <= other.first_line
            and other.last_line <= self.last_line
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """What one file defines and uses."""

    definitions: tuple[Symbol, ...]
    """In the file's order; values inside of functions are left out."""
    references: Counter[str]


def definitions(path: str, source: bytes) -> tuple[Symbol, ...]:
    """Functions, types, modules, and the values outside of functions; at most ``MAX_SYMBOLS``."""
    found = symbols_of(path, source)
    return () if found is None else found.definitions


def references(path: str, source: bytes) -> Counter[str]:
    """How often each name stands in the code, comments and strings left out."""
    found = symbols_of(path, source)
    return Counter() if found is None else found.references


def symbols_of(path: str, source: bytes) -> Symbols | None:
    """Both; None where the file has no syntax tree or its language no definitions."""
    kinds = DEFINITIONS.get(language_of(path) or "")
    tree = parse(path, source) if kinds else None
    if kinds is None or tree is None:
        return None
    lines = source.split(b"\n")
    wrapped: dict[int, int] = {}
    found: list[Symbol] = []
    names: Counter[bytes] = Counter()
    for node in _walk(tree):
        kind = node.type
        if kind in REFERENCES:
            names[source[node.start_byte : node.end_byte][:_MAX_NAME_BYTES]] += 1
        elif kind in WRAPPERS:
            row = wrapped.get(node.start_byte, node.start_point.row)
            wrapped |= {child.start_byte: row for child in node.named_children}
        elif kind in kinds and len(found) < MAX_SYMBOLS:
            symbol = _symbol(node, kinds[kind], wrapped.get(node.start_byte), lines, source)
            found += [symbol] if symbol else []
    return Symbols(
        definitions=tuple(_without_locals(found)),
        references=Counter({_decoded(name): count for name, count in names.items()}),
    )


def _walk(tree: Tree) -> Iterator[Node]:
    """Every node, in the file's order, in linear time: a query is not linear on hostile trees."""
    cursor = tree.walk()
    while cursor.node is not None:
        yield cursor.node
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _without_locals(symbols: Iterable[Symbol]) -> Iterator[Symbol]:
    functions_end = 0
    for symbol in symbols:
        if symbol.kind == "value" and symbol.last_line <= functions_end:
            continue
        if symbol.kind == "function":
            functions_end = max(functions_end, symbol.last_line)
        yield symbol


def _symbol(
    node: Node, kind: SymbolKind, wrapper_row: int | None, lines: list[bytes], source: bytes
) -> Symbol | None:
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return None  # C: a use of the type
    if node.type == "assignment_expression" and not _is_function(node):
        return None  # JavaScript: it changes what is defined elsewhere
    named = _name_node(node)
    name = None if named is None else _name(named, source)
    if named is None or name is None:
        return None
    row = named.end_point.row
    signature = _decoded(lines[row][:_MAX_LINE_BYTES]).strip()
    first_row = node.start_point.row if wrapper_row is None else wrapper_row
    end = node.end_point
    last_row = end.row - 1 if end.column == 0 and end.row > row else end.row
    return Symbol(
        name=name,
        kind="function" if kind == "value" and _is_function(node) else kind,
        line=row + 1,
        first_line=first_row + 1,
        last_line=last_row + 1,
        signature=signature[:_MAX_SIGNATURE_CHARS],
    )


def _name_node(node: Node) -> Node | None:
    found = _first_field(node)
    for _ in range(_MAX_DECLARATORS):
        inner = None if found is None else found.child_by_field_name("declarator")
        if inner is None:
            break
        found = inner
    if found is not None and found.type == "variable_declarator":
        return found.child_by_field_name("name")
    return found


def _first_field(node: Node) -> Node | None:
    fields = (node.child_by_field_name(field) for field in NAME_FIELDS)
    return next((field for field in fields if field is not None), None)


def _name(node: Node, source: bytes) -> str | None:
    if node.end_byte - node.start_byte > _MAX_NAME_BYTES:
        return None
    text = _decoded(source[node.start_byte : node.end_byte])
    found = _LAST_NAME.fullmatch(text.split("<")[0])
    return found[1] if found else None


def _is_function(node: Node) -> bool:
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    return value is not None and "function" in value.type


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "replace")

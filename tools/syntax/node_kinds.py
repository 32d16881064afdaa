"""How the grammars call what defines a name, and what uses one: data for ``symbols``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

SymbolKind = Literal["class", "function", "module", "value"]
"""``class``: any type, and what gives one its methods; ``value``: a constant or variable."""

_JAVASCRIPT: Mapping[str, SymbolKind] = {
    "class_declaration": "class",
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "method_definition": "function",
    "variable_declarator": "value",
    "assignment_expression": "value",
}
_TYPESCRIPT: Mapping[str, SymbolKind] = {
    **_JAVASCRIPT,
    "abstract_class_declaration": "class",
    "interface_declaration": "class",
    "type_alias_declaration": "class",
    "enum_declaration": "class",
    "method_signature": "function",
    "abstract_method_signature": "function",
    "public_field_definition": "value",
    "internal_module": "module",
}
_C: Mapping[str, SymbolKind] = {
    "function_definition": "function",
    "preproc_function_def": "function",
    "struct_specifier": "class",
    "union_specifier": "class",
    "enum_specifier": "class",
    "type_definition": "class",
    "preproc_def": "value",
}

DEFINITIONS: Mapping[str, Mapping[str, SymbolKind]] = {
    "bash": {"function_definition": "function", "variable_assignment": "value"},
    "c": _C,
    "cpp": {
        **_C,
        "class_specifier": "class",
        "alias_declaration": "class",
        "concept_definition": "class",
        "namespace_definition": "module",
    },
    "csharp": {
        "class_declaration": "class",
        "interface_declaration": "class",
        "struct_declaration": "class",
        "record_declaration": "class",
        "enum_declaration": "class",
        "delegate_declaration": "class",
        "method_declaration": "function",
        "constructor_declaration": "function",
        "property_declaration": "value",
        "namespace_declaration": "module",
    },
    "go": {
        "function_declaration": "function",
        "method_declaration": "function",
        "type_spec": "class",
        "type_alias": "class",
        "const_spec": "value",
        "var_spec": "value",
    },
    "java": {
        "class_declaration": "class",
        "interface_declaration": "class",
        "enum_declaration": "class",
        "record_declaration": "class",
        "annotation_type_declaration": "class",
        "method_declaration": "function",
        "constructor_declaration": "function",
        "field_declaration": "value",
    },
    "javascript": {**_JAVASCRIPT, "field_definition": "value"},
    "php": {
        "class_declaration": "class",
        "interface_declaration": "class",
        "trait_declaration": "class",
        "enum_declaration": "class",
        "function_definition": "function",
        "method_declaration": "function",
    },
    "python": {
        "class_definition": "class",
        "function_definition": "function",
        "assignment": "value",
    },
    "ruby": {
        "class": "class",
        "module": "module",
        "method": "function",
        "singleton_method": "function",
        "assignment": "value",
    },
    "rust": {
        "struct_item": "class",
        "enum_item": "class",
        "union_item": "class",
        "trait_item": "class",
        "impl_item": "class",
        "type_item": "class",
        "function_item": "function",
        "function_signature_item": "function",
        "macro_definition": "function",
        "const_item": "value",
        "static_item": "value",
        "mod_item": "module",
    },
    "tsx": _TYPESCRIPT,
    "typescript": _TYPESCRIPT,
}
"""By language: kinds of nodes that define what one of their fields names."""

WRAPPERS = frozenset({"decorated_definition", "export_statement", "template_declaration"})
"""Nodes that a definition may lie in and that belong to it: decorators and the like."""

NAME_FIELDS = ("name", "declarator", "property", "left", "type")
"""Where a definition's name is, first that there is; a declarator may lie in another."""

REFERENCES = frozenset(
    {
        "command_name",
        "constant",
        "field_identifier",
        "identifier",
        "name",
        "namespace_identifier",
        "package_identifier",
        "property_identifier",
        "shorthand_field_identifier",
        "shorthand_property_identifier",
        "type_identifier",
    }
)
"""Leaves that are names."""

"""Definitions and names by syntax tree, in every language that has a table."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnj_agent.tools.syntax.languages import parse
from rnj_agent.tools.syntax.node_kinds import DEFINITIONS
from rnj_agent.tools.syntax.symbols import MAX_SYMBOLS, definitions, references, symbols_of

SOURCES = {
    "bash": ("a.sh", "K=1\nf() {\n  local y=1\n  g a\n}\n", {"K", "f"}, {"g"}),
    "c": (
        "a.c",
        "#define M 3\nstruct p { int x; };\nstatic struct p *mk(int n)\n{\n  return new(M);\n}\n",
        {"M", "p", "mk"},
        {"new"},
    ),
    "cpp": (
        "a.hpp",
        "namespace n {\ntemplate <class T>\nclass V { void f() {} };\n"
        "void V::g(int a) { h(); }\n}\n",
        {"n", "V", "f", "g"},
        {"h"},
    ),
    "csharp": (
        "A.cs",
        "namespace N {\n class A { int P { get; set; }\n  int F() { return G(); } }\n}\n",
        {"N", "A", "P", "F"},
        {"G"},
    ),
    "go": (
        "a.go",
        "package m\n\ntype S struct{}\nconst C = 1\n"
        "func (s *S) M() int {\n\tb := g()\n\treturn b\n}\n",
        {"S", "C", "M"},
        {"g"},
    ),
    "java": (
        "A.java",
        "class A {\n  int x = 1;\n  @Override\n  int f() { int b = g(); return b; }\n}\n",
        {"A", "x", "f"},
        {"g"},
    ),
    "javascript": (
        "a.mjs",
        "export const k = (a) => {\n  const q = g();\n};\nexports.foo = function () {};\n"
        "class K extends L { z = 1; m() {} }\n",
        {"k", "foo", "K", "z", "m"},
        {"g", "L"},
    ),
    "php": ("a.php", "<?php\nclass A { function f() { return g(); } }\n", {"A", "f"}, {"g"}),
    "python": (
        "a.py",
        "K = 1\n\n@dec\nclass A(B):\n    def f(self):\n        z = g()\n",
        {"K", "A", "f"},
        {"dec", "B", "g"},
    ),
    "ruby": (
        "a.rb",
        "module M\n  class A < B\n    def f\n      x = g()\n    end\n  end\nend\n",
        {"M", "A", "f"},
        {"B", "g"},
    ),
    "rust": (
        "a.rs",
        "struct S<T> { a: T }\nimpl<T> D for S<T> {\n    fn f(&self) { g() }\n}\n",
        {"S", "f"},
        {"D", "g"},
    ),
    "tsx": ("a.tsx", "function F() { return <G/>; }\n", {"F"}, {"G"}),
    "typescript": (
        "a.ts",
        "export interface I { m(): void }\ntype T = J;\nabstract class Q { p = g() }\n",
        {"I", "m", "T", "Q", "p"},
        {"J", "g"},
    ),
}


@pytest.mark.parametrize("language", DEFINITIONS)
def test_what_a_file_defines_and_uses(language: str) -> None:
    path, source, defined, used = SOURCES[language]
    assert {symbol.name for symbol in definitions(path, source.encode())} == defined
    assert used <= set(references(path, source.encode()))


@pytest.mark.parametrize("language", DEFINITIONS)
def test_every_kind_in_the_table_is_one_of_the_grammar(language: str) -> None:
    tree = parse(SOURCES[language][0], b"")
    assert tree is not None
    for kind in DEFINITIONS[language]:
        assert tree.language.id_for_node_kind(kind, True) is not None, kind


def test_lines_are_counted_from_one_and_decorators_belong_to_it() -> None:
    source = "import x\n\n@one\n@two\ndef f(\n    a,\n):\n    return a\n\n\nX = 1\n"
    function, value = definitions("a.py", source.encode())
    assert (function.first_line, function.line, function.last_line) == (3, 5, 8)
    assert function.signature == "def f("
    assert (value.line, value.kind) == (11, "value")
    assert not function.encloses(value)


def test_a_method_lies_in_its_class() -> None:
    whole, method = definitions("a.rb", b"class A\n  def f\n  end\nend\n")
    assert whole.encloses(method)
    assert not method.encloses(whole)
    assert not whole.encloses(whole)


@pytest.mark.parametrize("path", ["a.json", "a.txt", "Makefile", ""])
def test_no_table_no_symbols(path: str) -> None:
    assert symbols_of(path, b'{"a": 1}') is None
    assert definitions(path, b"def f(): pass") == ()
    assert not references(path, b"def f(): pass")


@pytest.mark.parametrize(
    "source",
    [b"(" * 60_000, b"def f():\n " * 8_000, b"[(" * 30_000, b"if " * 30_000, b"x" * 900_000],
    ids=["wide", "nested", "deep", "keywords", "one name"],
)
def test_hostile_sources_are_bounded(source: bytes) -> None:
    found = symbols_of("a.py", source)
    assert found is None or len(found.definitions) <= MAX_SYMBOLS
    assert found is None or all(len(name) <= 200 for name in found.references)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from([path for path, *_ in SOURCES.values()]),
    source=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()),
)
@example(name="a.py", source=b"\xef\xbb\xbfdef \xff(): pass")
def test_any_bytes_have_symbols_within_their_lines(name: str, source: bytes) -> None:
    num_lines = source.count(b"\n") + 1
    for symbol in definitions(name, source):
        assert 1 <= symbol.first_line <= symbol.line <= symbol.last_line <= num_lines

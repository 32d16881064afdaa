from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.tools.syntax.errors import new_syntax_errors, syntax_errors
from rnj_agent.tools.syntax.languages import language_of, parse

# path -> (valid, the same with an error, the error's line)
SAMPLES: dict[str, tuple[str, str, int]] = {
    "a.sh": ("if true; then\n  echo a\nfi\n", "if true; then\n  echo a\n", 2),
    "a.c": ("int f(void) {\n  return 1;\n}\n", "int f(void) {\n  return 1\n}\n", 2),
    "a.cpp": (
        "template <class T>\nT f(T x) { return x; }\n",
        "template <class T>\nT f(T x { }\n",
        2,
    ),
    "a.cs": ("class A {\n  int F() => 1;\n}\n", "class A {\n  int F( => 1;\n}\n", 2),
    "a.go": (
        "package a\n\nfunc f() int { return 1 }\n",
        "package a\n\nfunc f( int { return 1 }\n",
        3,
    ),
    "A.java": (
        "class A {\n  int f() { return 1; }\n}\n",
        "class A {\n  int f() { return 1 }\n}\n",
        2,
    ),
    "a.js": ("const f = (x) => <b>{x ?? 1}</b>\n", "const f = (x => {\n", 1),
    "a.json": ('{"a": [1, 2]}\n', '{"a": [1, 2}\n', 1),
    "a.php": ("<p><?php\nif ($a) { echo 1; } ?></p>\n", "<p><?php\nif ($a { echo 1; }\n", 2),
    "a.py": ("def f(x):\n    return x\n", "def f(x):\n    return (x\n", 2),
    "a.rb": ("def f\n  1\nend\n", "def f\n  (1\nend\n", 2),
    "a.rs": ("fn f() -> i32 {\n    1\n}\n", "fn f() -> i32 {\n    (1\n}\n", 2),
    "a.ts": ("const x: number = <number>y\n", "const x: number = (1\n", 1),
    "a.tsx": ("const f = () => <A<B> c={1} />\n", "const f = () => <A\n", 1),
}

NEW_PYTHON = [
    "match x:\n    case [1, *_] if y:\n        pass\n    case {'a': 1, **k}:\n        pass\n",
    'x = f"{d["a"]} {f"{1}"}"\n',
    "type X[T] = list[T]\n\n\ndef f[T: int](x: T) -> T: ...\n",
    "try:\n    pass\nexcept* ValueError:\n    pass\n",
    "with (open(a) as b, open(c) as d):\n    pass\n",
    'print "for another Python"\n',
    "\ufeffdef f():\r\n    return 1\r\n",
]
BAD_INDENTATION = {
    "def f(x):\n    if x:\n        return 1\n      return 2\n": 4,
    "x = 1\n    y = 2\n": 2,
    "def f(x):\n    if x:\n    return 1\n": 3,
    "def f(x):\n\tif x:\n        return 1\n": 3,
}


@pytest.mark.parametrize("path", SAMPLES)
def test_each_language_has_its_errors_told(path: str):
    valid, broken, line = SAMPLES[path]
    assert syntax_errors(path, valid.encode()) == ()
    problems = new_syntax_errors(path, valid.encode(), broken.encode())
    assert problems[0].line == line
    assert problems[0].text == broken.split("\n")[line - 1].strip()


@pytest.mark.parametrize("source", NEW_PYTHON)
def test_python_of_other_versions_is_fine(source: str):
    assert syntax_errors("a.py", source.encode()) == ()


@pytest.mark.parametrize("source", BAD_INDENTATION)
def test_python_knows_its_indentation(source: str):
    (problem,) = syntax_errors("a.py", source.encode())
    assert problem.line == BAD_INDENTATION[source]
    assert problem.reason


@pytest.mark.parametrize(
    "name", ["tsconfig.json", "tsconfig.app.json", ".eslintrc.json", "a.txt", "README", "a.jsonc"]
)
def test_names_that_promise_no_grammar_have_none(name: str):
    assert language_of(f"x/{name}") is None
    assert syntax_errors(name, b"{ /* a */ ,, ]") == ()


def test_what_was_broken_before_is_not_told():
    before = b"class EXPORT A : public B {\n  MACRO(x)\n  int f() { return 1; }\n};\nint g( {\n"
    assert syntax_errors("a.h", before)
    assert new_syntax_errors("a.h", before, before.replace(b"1", b"2")) == ()
    after = before + b"int h() { return (1; }\n"
    assert [problem.line for problem in new_syntax_errors("a.h", before, after)][-1:] != [3]


def test_a_new_error_beside_old_ones_is_told():
    before = b"int f(int {\n}\n\nint g(void) {\n  return 1;\n}\n"
    problems = new_syntax_errors("a.c", before, before.replace(b"1;", b"1 +;"))
    assert [problem.text for problem in problems] == ["return 1 +;"]


def test_what_is_missing_is_named():
    (problem,) = syntax_errors("a.c", b"int f(void) {\n  return 1\n}\n")
    assert problem.reason == "; is missing"


def test_other_encodings_are_no_errors():
    assert syntax_errors("a.c", 'char *a = "caf\xe9";\n'.encode("latin-1")) == ()


@pytest.mark.parametrize("path", SAMPLES)
def test_hostile_sources_give_an_answer(path: str):
    for unit in (b"(", b"[{", b"a", b'"', b"\0", b"<a ", b"\xff", b" if x:\n", b"-"):
        syntax_errors(path, unit * 1_500)
    assert parse(path, b"a" * 1_000_001) is None
    assert parse(path, b"a\0b") is None


def test_python_too_deep_for_its_parser_gives_an_answer():
    for unit in ("(", "-", "not ", "a.", "lambda: ", "[" * 90 + "\n"):
        syntax_errors("a.py", (unit * 30_000).encode())


@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_give_an_answer(path: str, source: bytes):
    assert isinstance(syntax_errors(path, source), tuple)
    assert new_syntax_errors(path, source, source) == ()


@given(st.recursive(st.integers() | st.text(max_size=5), st.lists, max_leaves=9))
@settings(max_examples=30)
def test_any_json_is_valid(value: object):
    assert syntax_errors("a.json", json.dumps(value).encode()) == ()


def test_the_standard_library_is_valid():
    library = Path(sysconfig.get_path("stdlib"))
    for name in ("ast.py", "dataclasses.py", "enum.py", "json/decoder.py", "typing.py"):
        assert syntax_errors(name, (library / name).read_bytes()) == ()

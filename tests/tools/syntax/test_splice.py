"""Blocks of code in files: what they define again is replaced, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.tools.syntax.splice import SpliceError, splice

MODULE = '''\
"""Prices."""

import os

LIMIT = 3


def low(x):
    return x


class Cart:
    """Holds."""

    def add(self, item):
        return 1

    def drop(self, item):
        return 2


def high(y):
    return y + LIMIT
'''


def test_one_function_is_replaced_and_the_rest_stays() -> None:
    done = splice("m.py", MODULE, "def high(y):\n    return y\n")
    assert done.text == MODULE.replace("y + LIMIT", "y")
    assert done.replaced == ("high",)


def test_a_method_given_alone_is_put_into_its_class() -> None:
    done = splice("m.py", MODULE, "def drop(self, item):\n\n    return 5\n")
    assert "    def drop(self, item):\n\n        return 5\n" in done.text
    assert done.text.count("def ") == MODULE.count("def ")


def test_a_class_that_leaves_methods_out_loses_none() -> None:
    done = splice("m.py", MODULE, "class Cart:\n    def drop(self, item):\n        return 7\n")
    assert done.text == MODULE.replace("return 2", "return 7")


def test_a_whole_file_replaces_all() -> None:
    new = MODULE.replace("LIMIT = 3", "LIMIT = 4")
    done = splice("m.py", MODULE, new.rstrip())
    assert (done.text, done.replaced) == (new, ())


def test_imports_go_to_the_top_and_new_functions_before_their_use() -> None:
    block = "import re\n\ndef helper():\n    return 0\n\ndef high(y):\n    return helper()\n"
    lines = splice("m.py", MODULE, block).text.splitlines()
    assert lines[: lines.index("def low(x):")].count("import re") == 1
    assert lines.index("def helper():") < lines.index("def high(y):")
    assert lines.index("class Cart:") < lines.index("def helper():")


@pytest.mark.parametrize(
    "block",
    [
        "def high(y):\n    z = 1\n    # ... rest of the code\n",
        "def high(y):\n    # existing code remains the same\n    return 1\n",
        "def unknown():\n    pass\n",
        "x = 1\n",
    ],
)
def test_what_would_lose_code_is_refused(block: str) -> None:
    with pytest.raises(SpliceError):
        splice("m.py", MODULE, block)


def test_lines_that_stand_for_other_functions_are_left_out() -> None:
    block = "# ... other functions ...\n\ndef high(y):\n    return y\n"
    assert splice("m.py", MODULE, block).text == MODULE.replace("y + LIMIT", "y")


def test_two_definitions_of_one_name_are_not_guessed() -> None:
    twice = "if a:\n    def f():\n        pass\nelse:\n    def f():\n        pass\n"
    with pytest.raises(SpliceError, match="several times"):
        splice("m.py", twice, "def f():\n    return 1\n")


@pytest.mark.parametrize(
    ("path", "before", "block", "after"),
    [
        (
            "x.c",
            "static int f(int a)\n{\n  return a;\n}\n\nint g(void) { return 1; }\n",
            "int f(int a)\n{\n  return a + 1;\n}\n",
            "static int f(int a)\n{\n  return a + 1;\n}\n\nint g(void) { return 1; }\n",
        ),
        (
            "x.js",
            "import a from 'b';\nexport function f(a) {\n  return a;\n}\nexport const g = 1;\n",
            "function f(a) {\n  return a + 1;\n}\n",
            "import a from 'b';\nexport function f(a) {\n  return a + 1;\n}\nexport const g = 1;\n",
        ),
        (
            "x.go",
            "package x\n\nfunc F(a int) int {\n\treturn a\n}\n\nfunc G() {}\n",
            "func F(a int) int {\n\treturn -a\n}\n",
            "package x\n\nfunc F(a int) int {\n\treturn -a\n}\n\nfunc G() {}\n",
        ),
        (
            "x.rs",
            "pub struct S;\n\nimpl S {\n    pub fn f(&self) -> u8 {\n        1\n    }\n}\n",
            "pub fn f(&self) -> u8 {\n    2\n}\n",
            "pub struct S;\n\nimpl S {\n    pub fn f(&self) -> u8 {\n        2\n    }\n}\n",
        ),
        ("notes.txt", "a\nb\nc\nd\n", "a\nb\nc\ne\n", "a\nb\nc\ne\n"),
    ],
)
def test_in_other_languages(path: str, before: str, block: str, after: str) -> None:
    assert splice(path, before, block).text == after


@given(before=st.text(max_size=300), block=st.text(max_size=300))
def test_any_text_is_placed_or_refused(before: str, block: str) -> None:
    try:
        done = splice("m.py", before, block)
    except SpliceError:
        return
    assert done.text.endswith("\n")


RUST = """\
pub struct Counts {
    all: u64,
}

impl Counts {
    pub fn new() -> Self {
        Counts { all: 1 }
    }

    pub fn all(&self) -> u64 {
        self.all
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts::new()
    }
}
"""


def test_a_type_and_its_impl_are_two_definitions_of_one_name() -> None:
    fixed = RUST.replace("all: 1", "all: 0")
    assert splice("a.rs", RUST, fixed).text == fixed
    impl = "impl Counts {\n    pub fn new() -> Self {\n        Counts { all: 0 }\n    }\n}\n"
    assert splice("a.rs", RUST, impl).text == fixed
    default = "impl Default for Counts {\n    fn default() -> Self {\n        todo!()\n    }\n}\n"
    expected = RUST.replace("Counts::new()", "todo!()")
    assert splice("a.rs", RUST, default).text == expected


GO = """\
package lists

func (f *first) Len() int {
\treturn 1
}

func (s *second) Len() int {
\treturn 2
}
"""


def test_methods_of_one_name_are_told_apart_by_their_receivers() -> None:
    block = "func (s *second) Len() int {\n\treturn 3\n}\n"
    assert splice("a.go", GO, block).text == GO.replace("return 2", "return 3")
    with pytest.raises(SpliceError, match="defines Len several times, at lines 3, 7"):
        splice("a.go", GO, "func (o *other) Len() int {\n\treturn 3\n}\n")


JAVA = """\
class Sums {
    int sum(int a) {
        return a;
    }

    int sum(int a, int b) {
        return a - b;
    }

    int last() {
        return 0;
    }
}
"""


def test_overloads_are_told_apart_by_their_signatures() -> None:
    block = "class Sums {\n    int sum(int a, int b) {\n        return a + b;\n    }\n}\n"
    assert splice("Sums.java", JAVA, block).text == JAVA.replace("a - b", "a + b")


def test_an_overload_whose_signature_changed_replaces_the_one_that_is_left() -> None:
    three = "    int sum(int a, int b, int c) {\n        return a + b + c;\n    }\n"
    one = "    int sum(int a) {\n        return -a;\n    }\n"
    text = splice("Sums.java", JAVA, f"class Sums {{\n{three}\n{one}}}\n").text
    assert three in text
    assert one in text
    assert text.count("int sum(") == 2

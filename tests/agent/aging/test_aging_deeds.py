from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.aging.deeds import Deed, Kind, deed_of, same_file
from rnj_agent.agent.messages import ToolCall


def bash(command: str) -> ToolCall:
    return ToolCall(id="c", name="bash", arguments=json.dumps({"command": command}))


def edit(path: str) -> ToolCall:
    arguments = {"old": "a", "path": path, "new": "b"}
    return ToolCall(id="c", name="edit", arguments=json.dumps(arguments))


@pytest.mark.parametrize(
    ("command", "kind", "path"),
    [
        ("cat src/a.py", "read", "src/a.py"),
        ("cd src && cat -n a.py | head -50", "read", "a.py"),
        ("sed -n '10,40p' lib/a.rb", "read", "lib/a.rb"),
        ("head -20 Makefile", "read", "Makefile"),
        ("cat tests/test_a.py", "read", "tests/test_a.py"),
        ("ls -la", "list", ""),
        ("find . -name '*.go' | head", "list", ""),
        ("git ls-files", "list", ""),
        ("grep -rn foo src", "search", ""),
        ("cd /workspace; git grep foo", "search", ""),
        ("python -m pytest -q", "test", ""),
        ("go test ./...", "test", ""),
        ("npm run test", "test", ""),
        ("node --test", "test", ""),
        ("ruby -Ilib test/test_parser.rb", "test", ""),
        ("sed -i 's/a/b/' src/a.py", "edit", "src/a.py"),
        ("cat > src/a.c <<'EOF'\nint x;\nEOF", "edit", "src/a.c"),
        ("python3 -c 'print(1)'", "other", ""),
        ("echo 'unclosed", "other", ""),
        ("", "other", ""),
    ],
)
def test_a_command_line_tells_what_it_does(command: str, kind: Kind, path: str):
    deed = deed_of(bash(command))
    assert (deed.kind, deed.path) == (kind, path)


def test_a_here_document_with_tests_behind_it_is_a_test_run_that_wrote():
    deed = deed_of(bash("cat > a.py <<'EOF'\nx = 1\nEOF\npytest -q 2>/dev/null"))
    assert (deed.kind, deed.written) == ("test", ("a.py",))


def test_an_edit_names_its_file_in_any_order_of_arguments():
    deed = deed_of(edit("src/a.py"))
    assert (deed.kind, deed.path, deed.written) == ("edit", "src/a.py", ("src/a.py",))


@pytest.mark.parametrize(
    ("earlier", "later", "covered"),
    [
        ("cat a.py", "cat a.py", True),
        ("sed -n '1,9p' a.py", "cat src/a.py", True),
        ("cat a.py", "sed -n '1,9p' a.py", False),
        ("cat a.py", "cat b.py", False),
        ("cat a.py", "cat a.py | head -5", False),
        ("pytest -q", "pytest -q", True),
        ("pytest -q", "pytest -q tests/test_a.py", False),
        ("sed -i s/a/b/ a.py", "sed -i s/a/b/ a.py", False),
    ],
)
def test_what_is_shown_anew_covers_what_was_shown(earlier: str, later: str, covered: bool):
    assert deed_of(bash(later)).covers(deed_of(bash(earlier))) is covered


def test_paths_from_different_folders_can_name_one_file():
    assert same_file("./src/a.py", "a.py")
    assert same_file("/workspace/src/a.py", "src/a.py")
    assert not same_file("src/ba.py", "a.py")


@given(st.text(), st.text())
def test_any_call_is_a_deed(name: str, arguments: str):
    assert isinstance(deed_of(ToolCall(id="c", name=name, arguments=arguments)), Deed)
    assert isinstance(deed_of(bash(arguments)), Deed)


def test_what_the_person_ran_is_no_call():
    assert deed_of(None).kind == "other"

"""The test command that is guessed: named tests, or the nearest, by the project's runner."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from copied_files import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.agent.fix.find_tests import MAX_SUITE_FILES, MAX_TEST_FILES, find_tests
from rnj_agent.agent.fix.repository import CopiedFile

PYTEST = "def test_add():\n    assert add(1, 2) == 3\n"
JEST = "test('adds', () => { expect(add(1, 2)).toBe(3) })\n"
ISSUE = "`add(1, 2)` gives 4, see src/calc"

PROJECTS: dict[str, tuple[dict[str, str], str]] = {
    "pytest by its test": (
        {"src/calc.py": "def add(): ...\n", "tests/test_calc.py": PYTEST},
        "python -m pytest -q tests/test_calc.py",
    ),
    "pytest by its manifest": (
        {
            "src/calc.py": "def add(): ...\n",
            "pyproject.toml": "[tool.pytest.ini_options]\n",
            "tests/test_calc.py": "import unittest\n",
        },
        "python -m pytest -q tests/test_calc.py",
    ),
    "unittest": (
        {"calc.py": "def add(): ...\n", "test_calc.py": "import unittest\n# add\n"},
        "python -m unittest test_calc.py",
    ),
    "npm": (
        {
            "package.json": '{"scripts": {"test": "jest"}}',
            "src/calc.js": "export function add() {}\n",
            "src/calc.test.js": JEST,
        },
        "npm test -- src/calc.test.js",
    ),
    "npm in a folder": (
        {
            "web/package.json": '{"scripts": {"test": "vitest run"}}',
            "web/src/calc.ts": "export function add() {}\n",
            "web/tests/calc.spec.ts": JEST,
        },
        "cd web && npm test -- tests/calc.spec.ts",
    ),
    "yarn": (
        {
            "package.json": '{"scripts": {"test": "jest"}}',
            "yarn.lock": "",
            "calc.js": "function add() {}\n",
            "__tests__/calc.js": JEST,
        },
        "yarn test __tests__/calc.js",
    ),
    "pnpm": (
        {
            "package.json": '{"scripts": {"test": "jest"}}',
            "pnpm-lock.yaml": "lockfileVersion: 9\n",
            "calc.js": "function add() {}\n",
            "calc.test.js": JEST,
        },
        "pnpm test calc.test.js",
    ),
    "node": (
        {
            "package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}',
            "calc.js": "exports.add = function () {};\n",
            "test/calc.js": "const test = require('node:test');\n",
        },
        "node --test test/calc.js",
    ),
    "a script that asserts": (
        {
            "calc.js": "exports.add = function () {};\n",
            "test.js": "require('assert')(require('./calc').add(1, 2) === 3)\n",
        },
        "node --test test.js",
    ),
    "go": (
        {
            "go.mod": "module calc\n",
            "src/calc.go": "package calc\n\nfunc add() {}\n",
            "src/calc_test.go": "package calc\n\nfunc TestAdd(t *testing.T) {}\n",
        },
        "go test ./src",
    ),
    "cargo, beside": (
        {
            "Cargo.toml": "[package]\n",
            "src/calc.rs": "fn add() {}\n\n#[cfg(test)]\nmod tests {\n #[test]\n fn t() {}\n}\n",
        },
        "cargo test -- calc::",
    ),
    "cargo, in tests": (
        {
            "Cargo.toml": "[package]\n",
            "src/lib.rs": "pub fn add() {}\n",
            "tests/calc.rs": "#[test]\nfn adds() { calc::add(); }\n",
        },
        "cargo test --test calc",
    ),
    "maven": (
        {
            "pom.xml": "<project/>",
            "src/main/Calc.java": "class Calc { int add() { return 1; } }\n",
            "src/test/CalcTest.java": "class CalcTest { }\n",
        },
        "mvn -q -o test -Dtest=CalcTest",
    ),
    "gradle": (
        {
            "gradlew": "#!/bin/sh\n",
            "build.gradle": "",
            "src/main/Calc.java": "class Calc { int add() { return 1; } }\n",
            "src/test/CalcTest.java": "class CalcTest { }\n",
        },
        "sh gradlew --offline test --tests '*CalcTest'",
    ),
    "rspec": (
        {
            "Gemfile": "gem 'rspec'\n",
            "lib/calc.rb": "def add\nend\n",
            "spec/calc_spec.rb": "describe 'add' do\nend\n",
        },
        "bundle exec rspec spec/calc_spec.rb",
    ),
    "minitest": (
        {"lib/calc.rb": "def add\nend\n", "test/test_calc.rb": "require 'minitest'\n"},
        "ruby -Ilib -Itest test/test_calc.rb",
    ),
    "phpunit": (
        {
            "composer.json": '{"require-dev": {"phpunit/phpunit": "*"}}',
            "src/Calc.php": "<?php\nfunction add() {}\n",
            "tests/CalcTest.php": "<?php\nclass CalcTest {}\n",
        },
        "vendor/bin/phpunit tests/CalcTest.php",
    ),
    "dotnet": (
        {
            "src/Calc.cs": "class Calc { int add() { return 1; } }\n",
            "tests/Calc.Tests.csproj": "<Project/>",
            "tests/CalcTests.cs": "class CalcTests { }\n",
        },
        "cd tests && dotnet test --filter 'FullyQualifiedName~CalcTests'",
    ),
    "make": (
        {"Makefile": "all:\n\ntest: all\n\t./run\n", "calc.c": "int add(void) { return 1; }\n"},
        "make test",
    ),
    "make check": ({"Makefile": "check:\n\t./run\n", "calc.c": "int add;\n"}, "make check"),
    "ctest": (
        {"CMakeLists.txt": "enable_testing()\n", "calc.c": "int add(void) { return 1; }\n"},
        "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure",
    ),
    "nothing": ({"calc.py": "def add(): ...\n", "Makefile": "all:\n"}, ""),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_runner_of_a_project(tmp_path: Path, name: str) -> None:
    files, command = PROJECTS[name]
    assert find_tests(tmp_path, write(tmp_path, files), ISSUE) == command


def many_tests() -> dict[str, str]:
    return {f"tests/test_part{number}.py": PYTEST.replace("add", "x") for number in range(9)}


@pytest.mark.parametrize(
    ("issue", "command"),
    [
        ("fails: tests/test_part3.py", "python -m pytest -q tests/test_part3.py"),
        ("fails: tests/test_part3.py::test_x", "python -m pytest -q tests/test_part3.py -k test_x"),
        ("test_part3.py is red", "python -m pytest -q tests/test_part3.py"),
        ("`test_only_here` fails", "python -m pytest -q tests/test_own.py -k test_only_here"),
        ("it is slow", ""),
    ],
)
def test_tests_that_the_issue_names(tmp_path: Path, issue: str, command: str) -> None:
    tests = {**many_tests(), "tests/test_own.py": "def test_only_here(): ...\n"}
    assert find_tests(tmp_path, write(tmp_path, tests), issue) == command


def test_go_and_cargo_run_the_tests_that_are_named(tmp_path: Path) -> None:
    go = {"go.mod": "module m\n", "a_test.go": "package m\n\nfunc TestAdd(t *testing.T) {}\n"}
    assert find_tests(tmp_path, write(tmp_path, go), "TestAdd() fails") == (
        "go test ./ -run '^(TestAdd)$'"
    )
    rust = {"Cargo.toml": "", "tests/calc.rs": "#[test]\nfn test_add() {}\n"}
    found = find_tests(tmp_path / "rust", write(tmp_path / "rust", rust), "`test_add` fails")
    assert found == "cargo test --test calc -- test_add"


def test_a_suite_that_is_large_is_not_run_whole(tmp_path: Path) -> None:
    files = {f"doc/{number}.txt": "x\n" for number in range(MAX_SUITE_FILES)}
    files |= {"Makefile": "test:\n\t./run\n"}
    assert find_tests(tmp_path, write(tmp_path, files), "it is slow") == ""


def test_far_tests_of_a_large_suite_are_not_run(tmp_path: Path) -> None:
    files = {**many_tests(), "calc.py": "def add(): ...\n"}
    assert find_tests(tmp_path, write(tmp_path, files), "`add(1, 2)` gives 4") == ""


def test_a_test_that_uses_what_the_issue_names_is_near(tmp_path: Path) -> None:
    files = {**many_tests(), "calc.py": "def add(): ...\n", "tests/test_all.py": PYTEST}
    found = find_tests(tmp_path, write(tmp_path, files), "`add(1, 2)` gives 4")
    assert found == "python -m pytest -q tests/test_all.py"


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stem=st.text(
        st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]),
        min_size=1,
        max_size=20,
    ),
    issue=st.text(max_size=60),
)
def test_any_name_is_one_word_of_the_command(tmp_path: Path, stem: str, issue: str) -> None:
    path = f"test_{stem}.py"
    (tmp_path / "test_x.py").write_text(PYTEST)
    try:
        files = write(tmp_path, {path: PYTEST})
    except OSError:  # longer than the file system takes
        return
    command = find_tests(tmp_path, files, issue)
    assert "\n" not in command
    assert not command or shlex.split(command)[:5] == ["python", "-m", "pytest", "-q", path]


def test_links_and_options_are_not_taken(tmp_path: Path) -> None:
    files = write(tmp_path, {"-k.py": "x = 1\n", "-v_test.py": PYTEST})
    link = CopiedFile(path="test_link.py", mode=0o120000, size_bytes=9, mtime=0)
    assert find_tests(tmp_path, [*files, link], "") == "python -m pytest -q ./-v_test.py"


def test_only_so_many_files(tmp_path: Path) -> None:
    issue = " ".join(many_tests())
    command = find_tests(tmp_path, write(tmp_path, many_tests()), issue)
    assert command.count("test_part") == MAX_TEST_FILES

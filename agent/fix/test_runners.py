"""How projects run some of their tests: a table, one row a runner, by manifest and test file.

Where two rows fit, the first counts. Not here: which tests to run (``find_tests``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A file of tests."""

    path: str
    """Relative to the folder that the command runs in."""
    names: tuple[str, ...] = ()
    """Of the tests in it that are asked for; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    name: str
    files: re.Pattern[str]
    """Paths of the test files that it runs."""
    command: Callable[[Sequence[Target]], str]
    manifest: re.Pattern[str] | None = None
    """Names of the files that show that a folder uses it. None: the test file alone does."""
    manifest_has: re.Pattern[str] = re.compile("")
    test_has: re.Pattern[str] = re.compile("")
    changes_folder: bool = True
    """Whether it runs in the manifest's folder; else in the root."""
    in_sources: bool = False
    """Whether tests may stand in the code that they test."""


def quoted(paths: Iterable[str]) -> str:
    """As words of a shell command, none of which looks like an option."""
    return " ".join(
        shlex.quote(f"./{path}" if path.startswith("-") else path) for path in dict.fromkeys(paths)
    )


def _names(targets: Sequence[Target]) -> list[str]:
    """Of the tests asked for; empty where all of a file's are."""
    if not all(target.names for target in targets):
        return []
    return list(dict.fromkeys(name for target in targets for name in target.names))


def _stems(targets: Sequence[Target]) -> list[str]:
    return list(dict.fromkeys(PurePosixPath(target.path).stem for target in targets))


def _python(module: str, options: str = "") -> Callable[[Sequence[Target]], str]:
    def command(targets: Sequence[Target]) -> str:
        names = _names(targets)
        chosen = ""
        if module == "pytest" and names:
            chosen = f" -k {shlex.quote(' or '.join(names))}"
        elif names:
            chosen = "".join(f" -k {name}" for name in names)
        paths = quoted(target.path for target in targets)
        return f"python -m {module}{options} {paths}{chosen}"

    return command


def _followed_by_paths(start: str) -> Callable[[Sequence[Target]], str]:
    return lambda targets: f"{start} {quoted(target.path for target in targets)}"


def _for_each_path(start: str) -> Callable[[Sequence[Target]], str]:
    return lambda targets: " && ".join(f"{start} {quoted([target.path])}" for target in targets)


def _go(targets: Sequence[Target]) -> str:
    folders = quoted(
        f"./{'' if parent == '.' else parent}"
        for parent in (str(PurePosixPath(target.path).parent) for target in targets)
    )
    names = _names(targets)
    return f"go test {folders}" + (f" -run '^({'|'.join(names)})$'" if names else "")


def _cargo(targets: Sequence[Target]) -> str:
    files = [target for target in targets if target.path.startswith("tests/")]
    chosen = " ".join(f"--test {shlex.quote(stem)}" for stem in _stems(files))
    modules = [PurePosixPath(target.path) for target in targets if target not in files]
    names = _names(targets) or [
        f"{path.parent.name if path.stem == 'mod' else path.stem}::"
        for path in modules
        if path.stem not in {"lib", "main"} and not files
    ]
    words = [word for word in ("cargo test", chosen, "--" if names else "", *names) if word]
    return " ".join(words)


def _maven(targets: Sequence[Target]) -> str:
    return f"mvn -q -o test -Dtest={shlex.quote(','.join(_stems(targets)))}"


def _gradle(start: str) -> Callable[[Sequence[Target]], str]:
    def command(targets: Sequence[Target]) -> str:
        chosen = " ".join(f"--tests {shlex.quote(f'*{stem}')}" for stem in _stems(targets))
        return f"{start} --offline test {chosen}"

    return command


def _dotnet(targets: Sequence[Target]) -> str:
    chosen = "|".join(f"FullyQualifiedName~{stem}" for stem in _stems(targets))
    return f"dotnet test --filter {shlex.quote(chosen)}"


_PYTHON_TESTS = re.compile(r"(^|/)(test_[^/]*|[^/]*_tests?|tests?)\.py$")
_SCRIPT_TESTS = re.compile(
    r"(\.(test|spec)|(^|/)test[^/]*|(^|/)(tests?|__tests__)/[^/]*)\.[cm]?jsx?$"
)
_TYPED_TESTS = re.compile(r"(\.(test|spec)|(^|/)(tests?|__tests__)/[^/]*)\.[cm]?[jt]sx?$")
_JAVA_TESTS = re.compile(r"(^|/)[^/]*Tests?\.(java|kt|groovy|scala)$")
_PACKAGE = re.compile(r"package\.json")
_TEST_SCRIPT = re.compile(r'"scripts"[^}]{0,4000}?"test"\s*:\s*"(?!echo \\"Error: no test)')

RUNNERS = (
    Runner(
        name="pytest",
        files=_PYTHON_TESTS,
        manifest=re.compile(
            r"(pytest|tox)\.ini|conftest\.py|pyproject\.toml|setup\.(cfg|py)|.*requirements.*\.txt"
        ),
        manifest_has=re.compile(r"pytest"),
        command=_python("pytest", " -q"),
        changes_folder=False,
    ),
    Runner(
        name="unittest",
        files=_PYTHON_TESTS,
        test_has=re.compile(r"^(?:import|from) unittest\b", re.MULTILINE),
        command=_python("unittest"),
    ),
    Runner(
        name="pytest",
        files=_PYTHON_TESTS,
        test_has=re.compile(r"\bpytest\b|\bdef test", re.MULTILINE),
        command=_python("pytest", " -q"),
    ),
    Runner(
        name="pnpm",
        files=_TYPED_TESTS,
        manifest=re.compile(r"pnpm-lock\.yaml"),
        command=_followed_by_paths("pnpm test"),
    ),
    Runner(
        name="yarn",
        files=_TYPED_TESTS,
        manifest=re.compile(r"yarn\.lock"),
        command=_followed_by_paths("yarn test"),
    ),
    Runner(
        name="npm",
        files=_TYPED_TESTS,
        manifest=_PACKAGE,
        manifest_has=_TEST_SCRIPT,
        command=_followed_by_paths("npm test --"),
    ),
    Runner(
        name="node",
        files=_SCRIPT_TESTS,
        test_has=re.compile(r"node:test|\A(?!.*\b(?:describe|it|test)\()", re.DOTALL),
        command=_followed_by_paths("node --test"),
    ),
    Runner(
        name="go",
        files=re.compile(r"_test\.go$"),
        manifest=re.compile(r"go\.mod"),
        command=_go,
    ),
    Runner(
        name="cargo",
        files=re.compile(r"\.rs$"),
        manifest=re.compile(r"Cargo\.toml"),
        test_has=re.compile(r"#\[(?:\w+::)*test\b|#\[cfg\(test\)\]"),
        command=_cargo,
        in_sources=True,
    ),
    Runner(
        name="maven",
        files=_JAVA_TESTS,
        manifest=re.compile(r"pom\.xml"),
        command=_maven,
    ),
    Runner(
        name="gradle",
        files=_JAVA_TESTS,
        manifest=re.compile(r"gradlew"),
        command=_gradle("sh gradlew"),
    ),
    Runner(
        name="gradle",
        files=_JAVA_TESTS,
        manifest=re.compile(r"build\.gradle(\.kts)?"),
        command=_gradle("gradle"),
    ),
    Runner(
        name="rspec",
        files=re.compile(r"_spec\.rb$"),
        manifest=re.compile(r"Gemfile"),
        manifest_has=re.compile(r"rspec|gemspec"),
        command=_followed_by_paths("bundle exec rspec"),
    ),
    Runner(
        name="rspec",
        files=re.compile(r"_spec\.rb$"),
        command=_followed_by_paths("rspec"),
        changes_folder=False,
    ),
    Runner(
        name="minitest",
        files=re.compile(r"(_test|(^|/)test_[^/]*)\.rb$"),
        command=_for_each_path("ruby -Ilib -Itest"),
    ),
    Runner(
        name="phpunit",
        files=re.compile(r"Test\.php$"),
        manifest=re.compile(r"phpunit\.xml(\.dist)?|composer\.json"),
        manifest_has=re.compile(r"phpunit"),
        command=_for_each_path("vendor/bin/phpunit"),
    ),
    Runner(
        name="dotnet",
        files=re.compile(r"Tests?\.(cs|fs|vb)$"),
        manifest=re.compile(r".*\.(cs|fs|vb)proj"),
        command=_dotnet,
    ),
)

SUITES = (
    ("make test", re.compile(r"(GNUm|M|m)akefile"), re.compile(r"^test\s*:", re.MULTILINE)),
    ("make check", re.compile(r"(GNUm|M|m)akefile"), re.compile(r"^check\s*:", re.MULTILINE)),
    (
        "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure",
        re.compile(r"CMakeLists\.txt"),
        re.compile(r"^\s*(?:enable_testing|include\s*\(\s*CTest)\b", re.MULTILINE | re.IGNORECASE),
    ),
)
"""Commands that run all tests there are, by a manifest in the root and what stands in it."""

"""Every form of --issue, with a loopback server that speaks GitHub's API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from real_repo import MakeRepo

from rnj_agent.agent.errors import IssueError
from rnj_agent.agent.fix.github import api_base, parse_remote
from rnj_agent.agent.fix.host_git import RepositoryPaths, find_repository
from rnj_agent.agent.fix.issue import MAX_COMMENTS_CHARS, MAX_ISSUE_BYTES, Issue, read_issue


class FakeGitHub:
    """Answers by path: a status, headers and a JSON document. Remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.asked: list[tuple[str, str | None]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                owner.asked.append((self.path, self.headers.get("Authorization")))
                status, headers, document = owner.answer(url.path, parse_qs(url.query))
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        status, headers, document = self.answers.get(path, (404, {}, {"message": "Not Found"}))
        if path.endswith("/comments") and isinstance(document, list):
            page, size = int(query["page"][0]), int(query["per_page"][0])
            document = document[(page - 1) * size : page * size]
        return status, headers, document

    def add_issue(self, number: int, *, comments: list[str], **fields: Any) -> None:
        path = f"/repos/O/R/issues/{number}"
        document: dict[str, Any] = {
            "title": "Crash on empty input",
            "body": "<!-- a template's words -->\r\nIt crashes.\r\n",
            "html_url": f"https://github.com/O/R/issues/{number}",
            "comments": len(comments),
            **fields,
        }
        self.answers[path] = (200, {}, document)
        self.answers[f"{path}/comments"] = (
            200,
            {},
            [{"user": {"login": f"user{n}"}, "body": text} for n, text in enumerate(comments)],
        )


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGitHub]:
    fake = FakeGitHub()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("RNJ_GITHUB_API", fake.url)
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


@pytest.fixture
def paths(make_repo: MakeRepo) -> RepositoryPaths:
    return find_repository(make_repo({"a": "a"}).root)


def _read(spec: str, paths: RepositoryPaths, stdin: bytes = b"") -> Issue:
    return read_issue(spec, paths, lambda: stdin)


def test_text(paths: RepositoryPaths) -> None:
    issue = _read("Empty input crashes parse()", paths)
    assert (issue.title, issue.source) == ("Empty input crashes parse()", "text")
    assert issue.render() == "Empty input crashes parse()"
    assert _read("x" * 5000 + " and more", paths).title.endswith("…")


def test_file_and_stdin(paths: RepositoryPaths, tmp_path: Path) -> None:
    file = tmp_path / "issue.md"
    file.write_bytes(b"\xef\xbb\xbf# Title here\r\n\r\nWhat happens\r\n")
    issue = _read(str(file), paths)
    assert (issue.title, issue.source) == ("Title here", "file")
    assert issue.render() == "# Title here\n\nWhat happens"
    assert _read("-", paths, b"From a pipe\n").source == "stdin"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe\x00x", "UTF-8"),
        (b"PK\0\0", "not text"),
        (b"x" * (MAX_ISSUE_BYTES + 1), "too much"),
    ],
    ids=["nothing", "blank", "utf-16", "an archive", "too much"],
)
def test_files_that_are_no_issue(
    paths: RepositoryPaths, tmp_path: Path, content: bytes, match: str
) -> None:
    (tmp_path / "issue.md").write_bytes(content)
    with pytest.raises(IssueError, match=match):
        _read(str(tmp_path / "issue.md"), paths)
    with pytest.raises(IssueError, match=match):
        _read("-", paths, content)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("issue.md", "no file issue.md"),
        ("docs/issue", "no file docs/issue"),
        ("", "empty"),
        (".", "not a file"),
        ("https://example.org/x", "not the address of a GitHub issue"),
        ("https://github.com/O/R", "not the address of a GitHub issue"),
        ("https://github.com/O/R/pull/12", "pull request"),
        ("github.com/O/R/discussions/12", "discussion"),
        ("12", "no remote"),
    ],
)
def test_what_cannot_be_an_issue(paths: RepositoryPaths, spec: str, match: str) -> None:
    with pytest.raises(IssueError, match=match):
        _read(spec, paths)


@pytest.mark.parametrize(
    "spec",
    [
        "https://github.com/O/R/issues/12",
        "https://github.com/O/R/issues/12/#issuecomment-1",
        "github.com/O/R/issues/12?x=y",
        "O/R#12",
    ],
)
def test_a_github_issue(github: FakeGitHub, paths: RepositoryPaths, spec: str) -> None:
    github.add_issue(12, comments=["I see it too.", "Since version 2."])
    issue = _read(spec, paths)
    assert issue.url == "https://github.com/O/R/issues/12"
    assert issue.render() == (
        "Crash on empty input\n\nIt crashes.\n\nComment by user0:\nI see it too.\n\n"
        "Comment by user1:\nSince version 2."
    )
    assert {token for _, token in github.asked} == {None}


@pytest.mark.parametrize(
    "remote", ["https://github.com/O/R.git", "git@github.com:O/R.git", "ssh://git@github.com/O/R"]
)
def test_a_number_with_the_remote(github: FakeGitHub, make_repo: MakeRepo, remote: str) -> None:
    github.add_issue(12, comments=[])
    repo = make_repo({"a": "a"})
    repo.git("remote", "add", "origin", remote)
    assert _read("12", find_repository(repo.root)).source == "github"
    assert _read("#12", find_repository(repo.root)).source == "github"
    repo.git("remote", "add", "upstream", "https://gitlab.com/other/forge")
    with pytest.raises(IssueError, match="not one on GitHub"):
        _read("12", find_repository(repo.root))


def test_many_comments_keep_the_first_and_the_last(
    github: FakeGitHub, paths: RepositoryPaths
) -> None:
    github.add_issue(12, comments=[f"comment {n} " + "x" * 500 for n in range(250)])
    issue = _read("O/R#12", paths)
    text = issue.render()
    assert "comment 0 " in text
    assert "comment 249 " in text
    shown = text.count("Comment by")
    assert f"[{250 - shown} of 250 comments left out here]" in text
    assert len(text) < MAX_COMMENTS_CHARS + 500
    assert [path for path, _ in github.asked][1:] == [
        "/repos/O/R/issues/12/comments?per_page=100&page=1",
        "/repos/O/R/issues/12/comments?per_page=100&page=3",
    ]


def test_the_token_goes_to_github(
    github: FakeGitHub, paths: RepositoryPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    github.add_issue(12, comments=[])
    _read("O/R#12", paths)
    assert github.asked[-1][1] == "Bearer secret"
    _read("https://elsewhere.example/O/R/issues/12", paths)
    assert github.asked[-1][1] is None
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://elsewhere.example")
    _read("https://elsewhere.example/O/R/issues/12", paths)
    assert github.asked[-1][1] == "Bearer secret"


def test_a_moved_issue(github: FakeGitHub, paths: RepositoryPaths) -> None:
    github.add_issue(12, comments=[])
    github.answers["/repos/old/R/issues/12"] = (
        301,
        {"Location": f"{github.url}/repos/O/R/issues/12"},
        {},
    )
    assert _read("old/R#12", paths).title == "Crash on empty input"


@pytest.mark.parametrize(
    ("answer", "match", "hint"),
    [
        ((404, {}, {}), "no issue 12 of O/R, or it is private", "GITHUB_TOKEN"),
        ((410, {}, {}), "no issue 12", ""),
        ((401, {}, {}), "refuses the token", "GITHUB_TOKEN"),
        ((403, {"x-ratelimit-remaining": "0", "retry-after": "90"}, {}), "in 90 s", "GITHUB_TOKEN"),
        ((429, {"retry-after": "600"}, {}), "in 10 minutes", "GITHUB_TOKEN"),
        ((403, {}, {"message": "Resource protected"}), "403 .*Resource protected", ""),
        ((502, {}, b"<html>"), "answered 502", ""),
        ((200, {}, b"<html>"), "does not answer like GitHub", ""),
        ((200, {}, {"no": "title"}), "does not answer like GitHub", ""),
        ((200, {}, [1]), "does not answer like GitHub", ""),
    ],
)
def test_refusals(
    github: FakeGitHub,
    paths: RepositoryPaths,
    answer: tuple[int, dict[str, str], Any],
    match: str,
    hint: str,
) -> None:
    github.answers["/repos/O/R/issues/12"] = answer
    with pytest.raises(IssueError, match=match) as caught:
        _read("O/R#12", paths)
    assert hint in caught.value.hint


def test_when_the_rate_limit_is_reset(github: FakeGitHub, paths: RepositoryPaths) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 1790)}
    github.answers["/repos/O/R/issues/12"] = (403, headers, {})
    with pytest.raises(IssueError, match="in 30 minutes"):
        _read("O/R#12", paths)


def test_a_pull_request_by_number(github: FakeGitHub, paths: RepositoryPaths) -> None:
    github.add_issue(12, comments=[], pull_request={"url": "x"})
    with pytest.raises(IssueError, match="pull request"):
        _read("O/R#12", paths)


def test_no_network(paths: RepositoryPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNJ_GITHUB_API", "http://127.0.0.1:9")
    with pytest.raises(IssueError, match="cannot be reached"):
        _read("O/R#12", paths)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:token@github.com/O/R.git", "github.com O R"),
        ("ssh://git@ssh.github.com:443/O/my.repo.git", "github.com O my.repo"),
        ("git@ghe.example.org:O/R.git/", "ghe.example.org O R"),
        ("git://github.com/O/R", "github.com O R"),
        ("/srv/git/R.git", ""),
        ("file:///srv/O/R", ""),
        ("git@work:O/R.git", ""),
        ("https://gitlab.com/O/R", ""),
        ("../R", ""),
    ],
)
def test_remotes(url: str, expected: str) -> None:
    repo = parse_remote(url)
    found = "" if repo is None else f"{repo.host} {repo.owner} {repo.name}"
    assert found == expected


def test_enterprise_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNJ_GITHUB_API", raising=False)
    assert api_base("github.com") == "https://api.github.com"
    assert api_base("x.ghe.com") == "https://api.x.ghe.com"
    assert api_base("github.example.org") == "https://github.example.org/api/v3"

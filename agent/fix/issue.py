"""What is to be fixed: an issue from text, a file, standard input or GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from rnj_agent.agent.errors import IssueError
from rnj_agent.agent.fix.github import GitHubComment, GitHubRepo, fetch_issue, parse_remote
from rnj_agent.agent.fix.host_git import RepositoryPaths, open_git

Source: TypeAlias = Literal["text", "file", "stdin", "github"]

MAX_ISSUE_BYTES = 256 * 1024
MAX_COMMENTS_CHARS = 12_000
"""For the comments that are shown; the first and the last ones tell most."""
_MAX_TITLE_CHARS = 100

_ISSUE_PATH = re.compile(r"/([\w.-]+)/([\w.-]+)/(issues|pull|pulls|discussions)/(\d+)(?:/.*)?")
_SHORTHAND = re.compile(r"([\w-]+)/([\w.-]+)#(\d{1,10})")
_NUMBER = re.compile(r"#?(\d{1,10})")
_FILE_NAME = re.compile(r"[^\s]*(/[^\s]*|\.[A-Za-z]{1,8})")
_TEMPLATE_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    title: str
    """One line."""
    body: str
    comments: tuple[GitHubComment, ...] = ()
    num_comments: int = 0
    """How many there are; ``comments`` may lack a middle."""
    source: Source
    url: str = ""

    def render(self) -> str:
        """The issue as the model reads it."""
        parts = [self.body]
        if self.source == "github":  # elsewhere the title is the body's first line
            parts.insert(0, self.title)
        parts += _render_comments(self.comments, self.num_comments)
        return "\n\n".join(part for part in parts if part)


def _render_comments(comments: tuple[GitHubComment, ...], total: int) -> list[str]:
    """Comments from both ends, as many as fit, with one line for those between."""
    texts = [f"Comment by {comment.author}:\n{comment.body}" for comment in comments]
    first, last = 0, len(texts)
    budget = MAX_COMMENTS_CHARS
    while first < last:
        from_front = first <= len(texts) - last
        text = texts[first] if from_front else texts[last - 1]
        if len(text) > budget:
            break
        budget -= len(text)
        first, last = (first + 1, last) if from_front else (first, last - 1)
    left_out = total - first - (len(texts) - last)
    between = [f"[{left_out} of {total} comments left out here]"] if left_out > 0 else []
    return [*texts[:first], *between, *texts[last:]]


def read_issue(spec: str, paths: RepositoryPaths, read_stdin: Callable[[], bytes]) -> Issue:
    """Find out what ``--issue`` names, and read it.

    Args:
        spec: text, a file, ``-``, a GitHub issue's URL, ``OWNER/REPO#N``, or a number.
        paths: the repository, whose remote a bare number belongs to.
        read_stdin: called for ``-`` alone.

    Raises:
        IssueError: it cannot be read, is empty, or is nothing that could be an issue.
    """
    spec = spec.strip()
    if spec == "-":
        return _from_bytes(read_stdin(), source="stdin", name="standard input")
    if not spec:
        raise IssueError("The issue is empty.", hint='rnj-agent fix --issue "what is wrong"')
    if number := _NUMBER.fullmatch(spec):
        return _from_github(_repo_of_remote(paths), int(number[1]))
    if "\n" not in spec and (found := _find_on_github(spec)):
        return _from_github(*found)
    if (place := _existing_path(spec)) is not None:
        return _from_file(place)
    if _FILE_NAME.fullmatch(spec):
        raise IssueError(
            f"There is no file {spec}.",
            hint=f"if that is the text of the issue: echo '{spec}' | rnj-agent fix --issue -",
        )
    return _from_text(spec, "text")


def _find_on_github(spec: str) -> tuple[GitHubRepo, int] | None:
    if shorthand := _SHORTHAND.fullmatch(spec):
        repo = GitHubRepo(host="github.com", owner=shorthand[1], name=shorthand[2])
        return repo, int(shorthand[3])
    bare = spec.startswith(("github.com/", "www.github.com/"))
    if not bare and not re.match(r"https?://\S+$", spec):
        return None
    url = urlsplit(f"https://{spec}" if bare else spec)
    found = _ISSUE_PATH.fullmatch(url.path)
    if found is None or url.hostname is None:
        raise IssueError(
            f"{spec} is not the address of a GitHub issue.",
            hint="https://github.com/OWNER/REPO/issues/N, or pipe the text in: --issue -",
        )
    if found[3] != "issues":
        what = "discussion" if found[3] == "discussions" else "pull request"
        raise IssueError(
            f"{spec} is a {what}, not an issue.", hint="give the issue that it is about"
        )
    host = url.netloc.rpartition("@")[2].removeprefix("www.").lower()
    return GitHubRepo(host=host, owner=found[1], name=found[2]), int(found[4])


def _repo_of_remote(paths: RepositoryPaths) -> GitHubRepo:
    """The repository whose issues a bare number counts: upstream's before a fork's."""
    if paths.git_dir is None:
        raise IssueError(
            f"{paths.worktree} is not a git repository, so a number names no issue.",
            hint="give the issue's URL or its text",
        )
    with open_git(paths) as git:
        urls = [git.config_value(f"remote.{name}.url") for name in ("upstream", "origin")]
    url = next(filter(None, urls), None)
    if url is None:
        raise IssueError(
            "The repository has no remote 'origin' or 'upstream', so a number names no issue.",
            hint="give the issue's URL: https://github.com/OWNER/REPO/issues/N",
        )
    repo = parse_remote(url)
    if repo is None:
        raise IssueError(
            "The repository's remote is not one on GitHub, so its issues cannot be read.",
            hint="give the issue's text, or pipe it in: --issue -",
        )
    return repo


def _from_github(repo: GitHubRepo, number: int) -> Issue:
    found = fetch_issue(repo, number)
    return Issue(
        title=_one_line(found.title),
        body=_TEMPLATE_COMMENT.sub("", found.body).strip(),
        comments=found.comments,
        num_comments=found.num_comments,
        source="github",
        url=found.url,
    )


def _existing_path(spec: str) -> Path | None:
    place = Path(spec).expanduser()
    try:
        return place if place.exists() else None
    except (OSError, ValueError):  # a text too long for a name, or with a NUL
        return None


def _from_file(place: Path) -> Issue:
    if not place.is_file():
        raise IssueError(f"{place} is not a file.", hint=f"rnj-agent fix --issue {place}/ISSUE.md")
    try:
        with place.open("rb") as file:
            data = file.read(MAX_ISSUE_BYTES + 1)
    except OSError as error:
        raise IssueError(f"{place} cannot be read: {error.strerror}.") from error
    return _from_bytes(data, source="file", name=str(place))


def _from_bytes(data: bytes, *, source: Source, name: str) -> Issue:
    if len(data) > MAX_ISSUE_BYTES:
        raise IssueError(
            f"{name} has more than {MAX_ISSUE_BYTES // 1024} KiB: too much for an issue.",
            hint="keep the part that says what is wrong",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IssueError(f"{name} is not text in UTF-8.") from error
    if "\0" in text:
        raise IssueError(f"{name} is not text.")
    if not text.strip():
        raise IssueError(f"{name} is empty.", hint="write down what is wrong")
    return _from_text(text.replace("\r\n", "\n").strip(), source)


def _from_text(text: str, source: Source) -> Issue:
    first = text.split("\n", 1)[0].lstrip("# ")
    return Issue(title=_one_line(first), body=text, source=source)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE_CHARS else line[: _MAX_TITLE_CHARS - 1] + "…"

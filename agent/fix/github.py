"""One issue with its comments, through GitHub's REST API.

Tokens go only where they belong: GH_TOKEN or GITHUB_TOKEN to github.com, GH_ENTERPRISE_TOKEN or
GITHUB_ENTERPRISE_TOKEN to the host that GH_HOST or GITHUB_SERVER_URL names. A repository that
names another host as its remote gets none.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

import rnj_agent
from rnj_agent.agent.errors import IssueError

API_VARIABLE = "RNJ_GITHUB_API"
"""Names another base address for the API."""
_PAGE_SIZE = 100
_TIMEOUT_S = 30.0
_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git|git\+ssh)://(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+)?/"
    r"|(?:[\w.-]+@)?(?P<scp_host>[\w.-]+):)"
    r"/?(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubRepo:
    host: str
    owner: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubComment:
    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubIssue:
    title: str
    body: str
    url: str
    num_comments: int
    comments: tuple[GitHubComment, ...]
    """At most the first and the last hundred."""


class _WireUser(BaseModel):
    login: str


class _WireComment(BaseModel):
    user: _WireUser | None = None
    """None: a deleted account."""
    body: str | None = None


class _WireIssue(BaseModel):
    title: str
    body: str | None = None
    html_url: str
    comments: int = 0
    pull_request: Any = None


_Wire = TypeVar("_Wire")
_WIRE_COMMENTS = TypeAdapter(list[_WireComment])


def parse_remote(url: str) -> GitHubRepo | None:
    """Read a remote's address in any of git's forms; None for what cannot be on GitHub."""
    found = _REMOTE.fullmatch(url.strip())
    if found is None:
        return None
    host = (found["host"] or found["scp_host"]).lower()
    if host == "ssh.github.com":
        host = "github.com"
    # An alias from an SSH configuration has no dot; other forges speak another API.
    if "." not in host or host.endswith(("gitlab.com", "bitbucket.org", "codeberg.org")):
        return None
    return GitHubRepo(host=host, owner=found["owner"], name=found["name"])


def fetch_issue(repo: GitHubRepo, number: int) -> GitHubIssue:
    """Read the issue and its comments.

    Raises:
        IssueError: missing, private, a pull request, over the rate limit, or no network.
    """
    path = f"/repos/{repo.owner}/{repo.name}/issues/{number}"
    what = f"issue {number} of {repo.owner}/{repo.name}"
    if repo.host != "github.com":
        what += f" on {repo.host}"
    token = _token(repo.host)
    with _client(repo.host, token) as client:
        wire = _parse(_WireIssue.model_validate, _get(client, path, {}, what), repo.host)
        if wire.pull_request is not None:
            raise IssueError(
                f"Number {number} of {repo.owner}/{repo.name} is a pull request, not an issue.",
                hint="give the issue that it is about",
            )
        comments: list[_WireComment] = []
        for page in _pages(wire.comments):
            query = {"per_page": _PAGE_SIZE, "page": page}
            answer = _get(client, f"{path}/comments", query, what)
            comments += _parse(_WIRE_COMMENTS.validate_python, answer, repo.host)
    return GitHubIssue(
        title=wire.title,
        body=(wire.body or "").replace("\r\n", "\n"),
        url=wire.html_url,
        num_comments=wire.comments,
        comments=tuple(_comment(comment) for comment in comments),
    )


def _comment(wire: _WireComment) -> GitHubComment:
    author = wire.user.login if wire.user is not None else "ghost"
    return GitHubComment(author=author, body=(wire.body or "").replace("\r\n", "\n").strip())


def _pages(num_comments: int) -> Iterable[int]:
    """The first page and the last one."""
    last = -(-num_comments // _PAGE_SIZE)
    return sorted({1, last}) if last else ()


def _client(host: str, token: str | None) -> httpx.Client:
    headers = {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": f"rnj-agent/{rnj_agent.__version__}",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # An issue that was moved is answered with its new address; httpx drops the token on the way
    # to another host.
    return httpx.Client(
        base_url=api_base(host), headers=headers, timeout=_TIMEOUT_S, follow_redirects=True
    )


def api_base(host: str) -> str:
    """Where the REST API of a GitHub host is."""
    if override := os.environ.get(API_VARIABLE):
        return override
    if host == "github.com":
        return "https://api.github.com"
    return f"https://api.{host}" if host.endswith(".ghe.com") else f"https://{host}/api/v3"


def _token(host: str) -> str | None:
    env = os.environ
    runner_host = urlsplit(env.get("GITHUB_SERVER_URL", "")).netloc
    names: list[str] = []
    if host == "github.com":
        names = ["GH_TOKEN", "GITHUB_TOKEN"]
    elif host in {env.get("GH_HOST"), runner_host}:
        names = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
    if host == runner_host:  # on a server's own runner GITHUB_TOKEN is that server's
        names.append("GITHUB_TOKEN")
    return next((env[name] for name in names if env.get(name)), None)


def _get(client: httpx.Client, path: str, query: Mapping[str, int], what: str) -> Any:
    try:
        response = client.get(path, params=dict(query))
    except httpx.TimeoutException as error:
        raise IssueError(
            f"{client.base_url.host} did not answer within {_TIMEOUT_S:.0f} s, so {what} could "
            "not be read.",
            hint="try again, or give the text: --issue -",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise IssueError(
            f"{client.base_url.host} cannot be reached, so {what} could not be read: {error}.",
            hint="check the network, or give the text: --issue -",
        ) from error
    if response.status_code != 200:
        raise _refusal(response, what, has_token="Authorization" in client.headers)
    try:
        return response.json()
    except ValueError as error:
        raise IssueError(f"{client.base_url.host} does not answer like GitHub.") from error


def _parse(read: Callable[[Any], _Wire], answer: Any, host: str) -> _Wire:
    try:
        return read(answer)
    except ValidationError as error:
        raise IssueError(f"{host} does not answer like GitHub.") from error


def _refusal(response: httpx.Response, what: str, *, has_token: bool) -> IssueError:
    host = response.url.host
    match response.status_code:
        case 404 | 410:
            return IssueError(
                f"There is no {what}, or it is private.",
                hint="check the number; does the token in GITHUB_TOKEN have access to it?"
                if has_token
                else "check the number; for a private one: export GITHUB_TOKEN=...",
            )
        case 401:
            return IssueError(
                f"{host} refuses the token, so {what} could not be read.",
                hint="renew GITHUB_TOKEN, or unset it for a public issue",
            )
        case 403 | 429 if _is_rate_limit(response):
            return IssueError(
                f"The rate limit of {host} is used up; it is reset {_reset(response)}.",
                hint="wait, or give the text: --issue -"
                if has_token
                else "export GITHUB_TOKEN=... (5,000 requests an hour)",
            )
        case status:
            return IssueError(
                f"{host} answered {status} {response.reason_phrase}, so {what} could not be read"
                f"{_api_message(response)}.",
                hint="try again, or give the text: --issue -",
            )


def _is_rate_limit(response: httpx.Response) -> bool:
    headers = response.headers
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers


def _reset(response: httpx.Response) -> str:
    at = response.headers.get("x-ratelimit-reset", "")
    after = response.headers.get("retry-after", "")
    if after.isdigit():
        seconds = int(after)
    elif at.isdigit():
        seconds = max(0, int(at) - int(time.time()))
    else:
        return "later"
    return f"in {seconds} s" if seconds < 120 else f"in {-(-seconds // 60)} minutes"


def _api_message(response: httpx.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({str(message)[:200]})"

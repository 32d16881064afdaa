"""What the first message says of an issue and its repository, within the model's window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rnj_agent.agent.fix.clues import read_clues
from rnj_agent.agent.fix.first_look import excerpt_chars, first_look
from rnj_agent.agent.fix.project import describe
from rnj_agent.agent.fix.repo_map import ranked_paths, repo_map
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.survey import Survey, survey
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.window_shares import (
    first_message_chars,
    fitted,
    issue_chars,
    leading,
    listing_chars,
)
from rnj_agent.prompts import IssueFacts

MAX_LISTED_FILES: Final = 100
"""Of a repository that has no more, all are listed."""
_MAX_RANKED: Final = 15
_MAX_FOLDERS: Final = 12
_MAP_SHARE: Final = 4
"""One part in so many of a first look is kept for the map."""
_WORDS_CHARS: Final = 300
"""Of the template around the facts."""


def issue_facts(
    request: FixRequest,
    *,
    workdir: str,
    test_command: str,
    test_output: str,
    context_window: int,
    harness: Harness,
) -> IssueFacts:
    """Choose what the model is told first.

    Args:
        request: with the issue and the repository.
        workdir: where it lies in the sandbox.
        test_command: empty where there is none.
        test_output: what it printed before any change, condensed; empty where it passed.
        context_window: of the model, in tokens.
        harness: which parts of a first look are wanted.
    """
    snapshot = request.snapshot
    issue = fitted(request.issue.render(), issue_chars(context_window))
    clues = read_clues(issue, test_output=test_output, test_command=test_command)
    seen = survey(snapshot.root, snapshot.files, clues)
    paths = [file.path for file in snapshot.files]
    file_list = listed(seen, paths, listing_chars(context_window))
    project = describe(seen, paths) if len(file_list) < len(paths) else ""
    told = [issue, test_command, test_output, project, *(f"{path}, " for path in file_list)]
    free = first_message_chars(context_window) - sum(map(len, told)) - _WORDS_CHARS
    room = max(0, min(excerpt_chars(context_window), free))
    for_map = room // _MAP_SHARE if harness.repo_map else 0
    excerpts = (
        first_look(seen, max_chars=room, for_others=for_map, or_all=True)
        if harness.first_look
        else ()
    )
    left = room - sum(len(excerpt.text) for excerpt in excerpts)
    shown = {excerpt.path for excerpt in excerpts if excerpt.whole}
    return IssueFacts(
        issue=issue,
        workdir=workdir,
        file_list=file_list,
        num_files=len(paths),
        project=project,
        excerpts=excerpts,
        repo_map=repo_map(seen, shown=shown, max_chars=min(left, for_map)),
        test_command=test_command,
        test_output=test_output,
    )


def listed(survey: Survey, paths: Sequence[str], max_chars: int) -> list[str]:
    """All paths where they are few; else those that matter most, and where the others are."""
    paths = [path for path in paths if path.isprintable()]
    whole = leading(paths, max_chars)
    if len(whole) == len(paths) <= MAX_LISTED_FILES:
        return whole
    clues = survey.clues
    named = [path for path in paths if clues.names_path(path)]
    ranked = dict.fromkeys([*named, *ranked_paths(survey)])
    near = leading(list(ranked)[:_MAX_RANKED], max_chars * 2 // 3)
    left = max_chars - sum(len(path) + 2 for path in near)
    return near + leading(_folders(paths), left)


def _folders(paths: Iterable[str]) -> list[str]:
    """The folders of the root that are not hidden, most files first."""
    tops = (path.split("/", 1)[0] for path in paths if "/" in path and path[0] != ".")
    counts = Counter(tops).most_common(_MAX_FOLDERS)
    return [f"{name}/ ({count} file{'s' * (count > 1)})" for name, count in counts]

"""The variables that commands see in a sandbox. Nothing of the host's environment is among them."""

from __future__ import annotations

GIT_CONFIG = """\
[user]
\tname = rnj-agent
\temail = rnj-agent@localhost
[safe]
\tdirectory = *
[init]
\tdefaultBranch = main
[advice]
\tdetachedHead = false
"""
"""The command user's ~/.gitconfig: a repository's own configuration still goes before it."""

_DEFAULTS = {
    # nothing waits for a key press, and nothing draws
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "TERM": "dumb",
    "GIT_TERMINAL_PROMPT": "0",
    "PIP_PROGRESS_BAR": "off",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "TQDM_DISABLE": "1",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    # no junk in the patch, and no stale code where two edits fall into one second
    "PYTHONDONTWRITEBYTECODE": "1",
}
# NO_COLOR and CI are not set: both change what the tests of many projects expect.


def sandbox_environment(home: str) -> dict[str, str]:
    """Everything but PATH.

    Args:
        home: the command user's own directory inside the sandbox.
    """
    return {**_DEFAULTS, "HOME": home, "USER": "agent", "LOGNAME": "agent", "SHELL": "/bin/bash"}

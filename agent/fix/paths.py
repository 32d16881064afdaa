"""Which relative paths may be copied out of a repository or written into one."""

from __future__ import annotations

import re

# Code points that HFS+ ignores in names, so that ".g\u200cit" is ".git" there.
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_NTFS_SHORT_NAME = re.compile(r"git~\d+")


def why_unsafe(path: str) -> str:
    """Why ``path`` must not be touched, in words; empty where it may be.

    A safe path is relative, stays inside the root and has no component that any file system would
    take for ``.git``. Symbolic links on the disk are a matter for whoever opens the path.
    """
    if not path or "\0" in path:
        return "it is not a file name"
    if path.startswith("/"):
        return "it is absolute"
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "it does not stay inside the repository"
    if any(_is_dot_git(part) for whole in parts for part in whole.split("\\")):
        return "it reaches into .git"
    return ""


def _is_dot_git(name: str) -> bool:
    # "NAME:stream" is the same file on NTFS, where trailing dots and spaces do not count either.
    bare = _HFS_IGNORED.sub("", name).split(":")[0].rstrip(" .").casefold()
    return bare == ".git" or _NTFS_SHORT_NAME.fullmatch(bare) is not None

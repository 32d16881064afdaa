"""What a block of code may mean that does not stand in it as it is written.

A model that is shown definitions by their lines copies the numbers with them, on some lines and not
on others. They are left out where the block parses without them and not with them.
"""

from __future__ import annotations

import re
from typing import Final

from rnj_agent.tools.syntax.errors import syntax_errors

_NUMBER: Final = re.compile(r"^[ \t]*\d+(?:: |\| ?|\t)", re.MULTILINE)


def without_line_numbers(path: str, block: str) -> str:
    """The block, without the numbers in front of its lines where they are what breaks it.

    Args:
        path: names the language.
        block: code, with LF line ends.
    """
    if not _NUMBER.search(block) or not syntax_errors(path, block.encode()):
        return block
    stripped = _NUMBER.sub("", block)
    return block if syntax_errors(path, stripped.encode()) else stripped

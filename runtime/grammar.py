"""The contract between the engine and whatever constrains a reply (``guided/``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class TokenMatcher(Protocol):
    """Follows one reply through its grammar. Used by one thread at a time."""

    def mask(self) -> torch.Tensor | None:
        """Bool [V], true where the next token is allowed; None: every token is.

        Tokens that end the turn are allowed exactly where the grammar may end.
        """
        ...

    def packed_masks(self, draft_ids: Sequence[int]) -> list[torch.Tensor]:
        """Masks of the next token and of those behind each draft, if these come. Consumes nothing.

        int32 [ceil(V / 32)] each: token i is allowed where bit i % 32 of word i // 32 is set. They
        end before the first draft that is not allowed.
        """
        ...

    def consume(self, token_id: int) -> None:
        """The reply goes on with this token, which the last mask allowed."""
        ...

    def forced_ids(self) -> list[int]:
        """Tokens that must come next, whatever the model says; often none. Consumes nothing."""
        ...


class Grammar(Protocol):
    """A compiled grammar; cheap to start replies from, shared by the choices of a request."""

    def matcher(self) -> TokenMatcher: ...

"""The contract between the engine and whatever constrains a reply (``guided/``)."""

from __future__ import annotations

from typing import Protocol

import torch


class TokenMatcher(Protocol):
    """Follows one reply through its grammar. Used by one thread at a time."""

    def mask(self) -> torch.Tensor | None:
        """Bool [V], true where the next token is allowed; None: every token is.

        Tokens that end the turn are allowed exactly where the grammar may end.
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

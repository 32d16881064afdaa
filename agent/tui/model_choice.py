"""Pick a model: of the catalogue, of a server on this machine, or of any base URL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.app import App

from rnj_agent.agent.tui.models import ModelOffer, Models
from rnj_agent.agent.tui.screens.fetch import FetchScreen
from rnj_agent.agent.tui.screens.pick import PickScreen

_URL = ("http://", "https://")


async def choose_model(app: App[None], models: Models, typed: str) -> ModelOffer | None:
    """What the person wants, fetched where it has to be; None: nothing. Called in a worker.

    Args:
        app: where the screens lie.
        models: those within reach.
        typed: a name or a base URL, or nothing.
    """
    if typed.startswith(_URL):
        return await _of_server(app, models, typed)
    offers = [*await asyncio.to_thread(models.bundled), *await models.served()]
    offer = next((known for known in offers if typed and known.name == typed), None)
    if offer is None:
        value = await app.push_screen_wait(_picker(offers, typed))
        if value is None:
            return None
        if value.startswith(_URL):
            return await _of_server(app, models, value)
        offer = offers[int(value)]
    if offer.missing_bytes and not await app.push_screen_wait(FetchScreen(offer, models)):
        return None
    return offer


async def _of_server(app: App[None], models: Models, url: str) -> ModelOffer | None:
    """Its model, picked where it lists several; a server that lists none may still answer."""
    offers = await models.served([url])
    if len(offers) < 2:
        return offers[0] if offers else ModelOffer(endpoint=url, name="")
    value = await app.push_screen_wait(_picker(offers, ""))
    return None if value is None else offers[int(value)]


def _picker(offers: Sequence[ModelOffer], typed: str) -> PickScreen:
    def find(words: str) -> list[tuple[str, str]]:
        if words.startswith(_URL):
            return [(words, f"the server at {words}")]
        wanted = words.lower().split()
        lines = [(str(number), str(offer)) for number, offer in enumerate(offers)]
        return [(at, line) for at, line in lines if all(word in line.lower() for word in wanted)]

    title = f"No model is named {typed}; these are here" if typed else "Model, or a base URL"
    return PickScreen(title, find)

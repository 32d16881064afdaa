"""Prompt lookup: a guess is what followed the same tokens earlier; edits are followed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.prompt_lookup import MAX_NGRAM, MIN_NGRAM, NO_DRAFT, Draft, PromptLookup

SOURCE = list(range(100, 160))
"""A prompt without repetitions: each token has one place."""


def contains(history: list[int], part: list[int]) -> bool:
    return any(history[i : i + len(part)] == part for i in range(len(history) - len(part) + 1))


def drafts_while(prompt_ids: list[int], reply_ids: list[int], max_tokens: int) -> list[Draft]:
    """The guess after each token of the reply."""
    lookup = PromptLookup(prompt_ids)
    drafts: list[Draft] = []
    for token_id in reply_ids:
        lookup.append(token_id)
        drafts.append(lookup.draft(max_tokens))
    return drafts


@given(
    prompt_ids=st.lists(st.integers(0, 3), max_size=40),
    reply_ids=st.lists(st.integers(0, 3), max_size=60),
    draft_at=st.sets(st.integers(0, 60)),
    min_ngram=st.integers(1, 4),
    max_tokens=st.integers(1, 9),
)
@settings(deadline=None, max_examples=400)
def test_a_draft_is_what_followed_its_match_earlier(
    prompt_ids: list[int],
    reply_ids: list[int],
    draft_at: set[int],
    min_ngram: int,
    max_tokens: int,
) -> None:
    lookup = PromptLookup(prompt_ids, min_ngram=min_ngram, max_ngram=6)
    history = list(prompt_ids)
    for position, token_id in enumerate([*reply_ids, 0]):
        if position in draft_at:
            draft = lookup.draft(max_tokens)
            assert draft == lookup.draft(max_tokens), "a draft changes nothing"
            assert len(draft.ids) <= max_tokens
            if draft.ids:
                matched = history[len(history) - draft.match_length :]
                assert contains(history, [*matched, *draft.ids])
            last = history[-min_ngram:]
            if len(history) > min_ngram and contains(history[:-1], last):
                assert draft.match_length >= min_ngram or draft.ids, "a known n-gram has a draft"
        lookup.append(token_id)
        history.append(token_id)


@given(
    tokens=st.lists(st.integers(0, 2), min_size=1, max_size=80),
    split=st.integers(0, 80),
)
@settings(deadline=None)
def test_it_makes_no_difference_which_tokens_were_the_prompt(tokens: list[int], split: int) -> None:
    appended = PromptLookup(tokens[:split])
    for token_id in tokens[split:]:
        appended.append(token_id)
    assert appended.draft(8) == PromptLookup(tokens).draft(8)


def test_a_copy_is_followed_after_an_ngram() -> None:
    drafts = drafts_while([*SOURCE, 1, 2], SOURCE[10:40], 4)
    assert drafts[MIN_NGRAM - 2] == NO_DRAFT
    for place, draft in enumerate(drafts[MIN_NGRAM - 1 :], start=10 + MIN_NGRAM):
        assert draft.ids == tuple(SOURCE[place : place + 4])
    assert drafts[-1].match_length == MAX_NGRAM


def test_after_a_replaced_token_the_next_one_is_guessed_at_once() -> None:
    drafts = drafts_while([*SOURCE, 1], [*SOURCE[:20], 7, *SOURCE[21:30]], 4)
    assert drafts[20] == Draft(tuple(SOURCE[21:25]), 0)
    assert drafts[21] == Draft(tuple(SOURCE[22:26]), 1)


def test_after_tokens_left_out_the_copy_goes_on() -> None:
    drafts = drafts_while([*SOURCE, 1], [*SOURCE[:20], *SOURCE[27:40]], 4)
    assert drafts[20] == Draft(tuple(SOURCE[28:32]), 1)


def test_after_tokens_put_in_the_copy_is_found_with_its_first_token() -> None:
    drafts = drafts_while([*SOURCE, 1], [*SOURCE[:20], 7, 8, 9, 7, 5, *SOURCE[20:40]], 4)
    assert drafts[25] == Draft(tuple(SOURCE[21:25]), 1)


def test_a_place_that_was_left_for_good_is_given_up() -> None:
    drafts = drafts_while([*SOURCE, 1], [*SOURCE[:20], *range(1000, 1060), SOURCE[20]], 4)
    assert drafts[-1] == NO_DRAFT


def test_the_longest_match_wins_and_of_equal_ones_the_latest() -> None:
    history = [1, 5, 6, 7, 11, 9, 2, 5, 6, 7, 12, 9, 3, 5, 6, 7, 13, 9]
    assert PromptLookup([*history, 1, 5, 6, 7]).draft(1) == Draft((11,), 4)
    assert PromptLookup([*history, 4, 5, 6, 7]).draft(1) == Draft((13,), 3)


def test_a_loop_is_followed_as_far_as_is_asked_for() -> None:
    assert PromptLookup([7] * 40).draft(7).ids == (7,) * 7
    assert drafts_while([1, 2], [7] * 40, 7)[-1].ids == (7,) * 7

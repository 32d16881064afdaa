"""Issues in plain words: the files whose names are made of them."""

from __future__ import annotations

from pathlib import Path

from copied_files import write
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.fix.clues import read_clues
from rnj_agent.agent.fix.first_look import first_look
from rnj_agent.agent.fix.survey import survey
from rnj_agent.agent.fix.word_match import matching, plain_words

ISSUE = "Entries that have expired are still counted, and the oldest is not evicted."
FILES = {
    "store/cache.go": "package store\n\nfunc evictOldest() {}\n\nfunc countEntries() {}\n",
    "store/text.go": "package store\n\nfunc entry() {}\n\nfunc shorten() {}\n",
}


def test_the_file_whose_names_share_most_words_is_shown(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, FILES), read_clues(ISSUE))
    assert [one.path for one in first_look(seen, max_chars=999)] == ["store/cache.go"]


def test_an_identifier_says_more_than_words(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, FILES), read_clues(f"{ISSUE} See `shorten`."))
    assert [one.path for one in seen.pointed_at] == ["store/text.go"]


def test_one_word_is_none() -> None:
    assert matching({"count"}, {"a.c": ["count_all"]}) == []


def test_words_are_parts_of_names() -> None:
    words = plain_words(["parseHTTPHeaders", "max_count", "a1 is"])
    assert words == {"parse", "http", "header", "count"}


@given(st.text(), st.dictionaries(st.text(), st.lists(st.text())))
def test_any_text_matches_files_that_there_are(text: str, names: dict[str, list[str]]) -> None:
    assert set(matching(plain_words([text]), names)) <= set(names)

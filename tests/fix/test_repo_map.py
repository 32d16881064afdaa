"""The map: what an issue is about, and what that uses, before all else; bounded, and no noise."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from copied_files import write
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.fix.clues import read_clues
from rnj_agent.agent.fix.repo_map import ranked_paths, repo_map
from rnj_agent.agent.fix.survey import survey

SHOP = {
    "shop/cart.py": "from shop.price import total_of\n\n\nclass Cart:\n    def pay(self):\n"
    "        return total_of(self.rows)\n",
    "shop/price.py": "LIMIT = 3\n\n\ndef total_of(rows):\n    first = rows\n    return first\n",
    "shop/mail.py": "def send_mail():\n    pass\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\n\ndef test_pay():\n    Cart().pay()\n",
}


def test_what_the_named_uses_is_on_the_map_and_the_rest_is_not(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, SHOP), read_clues("`Cart().pay()` is wrong"))
    assert repo_map(seen, max_chars=1000) == (
        "shop/cart.py\n  4: class Cart:\n  5: def pay(self):\n"
        "shop/price.py\n  4: def total_of(rows):"
    )
    assert ranked_paths(seen) == ["shop/cart.py", "shop/price.py"]


def test_what_is_shown_whole_is_not_listed_again(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, SHOP), read_clues("`Cart().pay()` is wrong"))
    assert repo_map(seen, shown={"shop/cart.py"}, max_chars=1000).startswith("shop/price.py\n")
    assert repo_map(seen, shown={"shop/cart.py", "shop/price.py"}, max_chars=1000) == ""


def test_an_issue_that_names_nothing_gets_what_is_used_most(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, SHOP), read_clues("It is slow."))
    assert ranked_paths(seen)[0] == "shop/price.py"
    assert "total_of" in repo_map(seen, max_chars=1000)


def test_a_file_that_the_issue_names_is_on_the_map_though_nothing_uses_it(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, SHOP), read_clues("see shop/mail.py"))
    assert repo_map(seen, max_chars=1000) == "shop/mail.py\n  1: def send_mail():"


@pytest.mark.parametrize(
    ("user", "definer", "signature"),
    [
        (
            ("a.go", "package a\n\nfunc Pay() { Total() }\n"),
            ("b.go", "package a\n\nfunc Total() {}\n"),
            "  3: func Total() {}",
        ),
        (
            ("a.ts", "export function Pay() { Total() }\n"),
            ("b.js", "export const Total = () => 1;\n"),
            "  1: export const Total = () => 1;",
        ),
        (
            ("a.c", "int Pay(void) { return Total(); }\n"),
            ("b.hpp", "static int\nTotal(void) { return 1; }\n"),
            "  2: Total(void) { return 1; }",
        ),
        (
            ("a.rs", "fn Pay() { Total() }\n"),
            ("b.rs", "pub mod m;\npub fn Total() {}\n"),
            "  2: pub fn Total() {}",
        ),
    ],
)
def test_other_languages(
    tmp_path: Path, user: tuple[str, str], definer: tuple[str, str], signature: str
) -> None:
    seen = survey(tmp_path, write(tmp_path, dict([user, definer])), read_clues("`Pay` is wrong"))
    assert repo_map(seen, max_chars=1000).endswith(f"{definer[0]}\n{signature}")


def test_languages_do_not_vote_for_each_other(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.py": "def Pay():\n    Total()\n", "b.go": "func Total() {}\n"})
    assert ranked_paths(survey(tmp_path, files, read_clues("`Pay` is wrong"))) == ["a.py"]


def test_nothing_to_map(tmp_path: Path) -> None:
    seen = survey(tmp_path, write(tmp_path, {"README.md": "# x\n"}), read_clues("`Pay`"))
    assert repo_map(seen, max_chars=1000) == ""
    assert ranked_paths(survey(tmp_path, [], read_clues(""))) == []


@settings(deadline=None, max_examples=50)
@given(
    sources=st.dictionaries(
        st.sampled_from(["a.py", "b/c.py", "d.js", "e.rb", "f.kt", "test_g.py"]),
        st.text(max_size=200) | st.just("def merge():\n    return merge_all()\n"),
    ),
    issue=st.text(max_size=60) | st.just("`merge` in c.py"),
    max_chars=st.integers(0, 200),
)
def test_any_repository_has_a_map_within_the_bound(
    sources: dict[str, str], issue: str, max_chars: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = survey(Path(folder), write(Path(folder), sources), read_clues(issue))
        drawn = repo_map(seen, max_chars=max_chars)
    assert len(drawn) <= max_chars
    assert "test_g.py" not in drawn

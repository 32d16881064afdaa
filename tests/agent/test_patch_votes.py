"""What patches do, whatever they look like, and what most of them do."""

from __future__ import annotations

from rnj_agent.agent.patch_votes import normalised, vote

_PATCH = """diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@ def f():
 x
-    return 3
+    return 33
"""
_ELSEWHERE = _PATCH.replace("@@ -1,2 +1,2 @@ def f():", "@@ -7,2 +9,2 @@").replace(
    "+    return 33\n", "+    return 33  \n+\n"
)
_OTHER = _PATCH.replace("return 33", "return 3 * 11  # longer")


def test_place_and_white_space_do_not_count() -> None:
    assert normalised(_PATCH) == normalised(_ELSEWHERE) != normalised(_OTHER)


def test_the_order_of_files_does_not_count_but_their_names_do() -> None:
    two = _PATCH + _PATCH.replace("a.py", "b.py")
    assert normalised(two) == normalised(_PATCH.replace("a.py", "b.py") + _PATCH)
    assert normalised(_PATCH) != normalised(_PATCH.replace("a.py", "b.py"))


def test_what_happens_to_a_file_without_lines_counts() -> None:
    added = "diff --git a/n b/n\nnew file mode 100644\n"
    assert normalised(added) != normalised("diff --git a/n b/n\ndeleted file mode 100644\n")


def test_a_vote_names_all_of_the_largest_groups() -> None:
    result = vote({1: "a", 2: "b", 4: "b"})
    assert (result.winners, str(result)) == (frozenset({2, 4}), "2 of 3 agree")
    tied = vote({1: "a", 2: "b", 3: "b", 4: "a"})
    assert tied.winners == frozenset({1, 2, 3, 4})
    assert str(vote({1: "a", 2: "b"})) == "no two agree"

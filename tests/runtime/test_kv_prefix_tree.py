"""What a prompt finds in the cache, what it copies, and what is evicted first."""

from __future__ import annotations

from rnj_agent.runtime.kv_cache import CachedSequence, KVCache
from rnj_agent.runtime.kv_cache.block_pool import RUN_BLOCKS

BLOCK_SIZE = 4


class Copies:
    """Takes the place of the tensors."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []

    def __call__(self, source: int, destination: int) -> None:
        self.made.append((source, destination))


def new_cache(num_blocks: int = 32) -> tuple[KVCache, Copies]:
    copies = Copies()
    return KVCache(num_blocks, BLOCK_SIZE, copies), copies


def compute(sequence: CachedSequence, token_ids: list[int]) -> None:
    """Everything of ``token_ids`` that the sequence lacks."""
    new_ids = token_ids[sequence.length :]
    assert sequence.reserve(len(new_ids))
    sequence.commit(new_ids)


def leave_behind(cache: KVCache, token_ids: list[int]) -> list[int]:
    """A request that came and went; the blocks it had."""
    sequence = cache.open(token_ids)
    compute(sequence, token_ids)
    block_table = list(sequence.block_table)
    sequence.close()
    return block_table


def test_the_next_step_of_a_session_goes_on_in_the_same_blocks() -> None:
    cache, copies = new_cache()
    first = list(range(10))
    blocks = leave_behind(cache, first)
    for num_tokens in (13, 15, 22):
        prompt_ids = list(range(num_tokens))
        sequence = cache.open(prompt_ids)
        assert sequence.num_cached_tokens == len(first)
        compute(sequence, prompt_ids)
        assert sequence.block_table == list(range(blocks[0], blocks[0] + -(-num_tokens // 4)))
        sequence.close()
        first = prompt_ids
    assert not copies.made


def test_the_last_token_is_never_taken_from_the_cache() -> None:
    cache, copies = new_cache()
    blocks = leave_behind(cache, list(range(8)))
    again = cache.open(list(range(8)))
    assert (again.length, again.block_table) == (7, blocks)
    assert again.reserve(1)
    assert copies.made == [(blocks[1], again.block_table[1])]
    again.commit([7])
    assert again.block_table == blocks, "computed twice, kept once"
    assert cache.num_used_blocks == 2


def test_a_block_that_is_being_written_is_copied_by_those_who_share_it() -> None:
    cache, copies = new_cache()
    first = cache.open(list(range(6)))
    compute(first, list(range(6)))
    assert cache.open(list(range(7))).length == 4, "the partial block is not published yet"
    first.publish()
    second = cache.open([*range(6), 100])
    assert (second.length, second.block_table) == (6, first.block_table)
    compute(first, [*range(6), 200])
    compute(second, [*range(6), 100])
    assert copies.made == [(first.block_table[1], second.block_table[1])]
    assert first.block_table[0] == second.block_table[0]


def test_others_see_only_what_was_published() -> None:
    cache, _ = new_cache()
    first = cache.open(list(range(5)))
    compute(first, list(range(5)))
    first.publish()
    compute(first, list(range(7)))
    assert cache.open(list(range(8))).length == 5
    first.publish()
    assert cache.open(list(range(8))).length == 7


def test_of_several_branches_the_longest_match_is_taken() -> None:
    cache, _ = new_cache()
    leave_behind(cache, [1, 2, 3, 4, 5, 6, 7, 8])
    blocks = leave_behind(cache, [1, 2, 3, 4, 5, 6, 9, 9])
    sequence = cache.open([1, 2, 3, 4, 5, 6, 9, 0, 0])
    assert (sequence.length, sequence.block_table) == (7, blocks)


def test_a_running_prefill_takes_over_what_another_computed_meanwhile() -> None:
    cache, _ = new_cache()
    prompt_ids = list(range(20))
    first, second = cache.open(prompt_ids), cache.open(prompt_ids)
    compute(first, prompt_ids[:8])
    compute(second, prompt_ids[:3])
    compute(first, prompt_ids)
    assert second.adopt(prompt_ids) == 16
    assert (second.length, second.num_cached_tokens) == (19, 16)
    assert second.block_table == first.block_table
    assert second.adopt(prompt_ids) == 0
    first.close()
    second.close()
    assert cache.num_used_blocks == 0


def test_reserved_blocks_that_were_not_needed_are_given_back() -> None:
    cache, _ = new_cache(4)
    sequence = cache.open([1, 2])
    assert sequence.reserve(16)
    sequence.commit([1])
    assert cache.num_used_blocks == 4
    sequence.close()
    assert (cache.num_cached_blocks, cache.num_free_blocks) == (1, 3)


def test_the_least_recently_used_goes_first_its_end_before_its_beginning() -> None:
    cache, _ = new_cache(6)
    old, new = list(range(12)), list(range(100, 112))
    leave_behind(cache, old)
    leave_behind(cache, new)
    cache.open(old).close()
    leave_behind(cache, list(range(200, 208)))
    assert cache.num_evicted_blocks == 2
    assert cache.open([*new, 0]).length == 4
    assert cache.open([*old, 0]).length == 12


def test_what_a_sequence_holds_is_never_evicted() -> None:
    cache, _ = new_cache(3)
    held = cache.open(list(range(8)))
    compute(held, list(range(8)))
    other = cache.open(list(range(100, 110)))
    assert not other.reserve(8)
    assert other.block_table == []
    assert other.reserve(4)
    assert held.token_ids == list(range(8))


def test_room_is_made_in_larger_pieces_so_that_runs_stay_together() -> None:
    cache, _ = new_cache(64)
    for begin in (0, 1000):
        leave_behind(cache, list(range(begin, begin + 32 * BLOCK_SIZE)))
    assert cache.num_free_blocks == 0
    sequence = cache.open([7, 8])
    assert sequence.reserve(1)
    assert cache.num_evicted_blocks == 64 // 16
    cache.reset()
    assert cache.num_free_blocks == 63


def test_sequences_that_grow_side_by_side_keep_their_segments_in_a_row() -> None:
    """In a pool that is full of older sequences, as it is most of the time."""
    cache, _ = new_cache(256)
    prompts = [list(range(1000 * i, 1000 * i + 90)) for i in range(40)]
    for first in range(0, 40, 4):
        sequences = [cache.open(prompt_ids) for prompt_ids in prompts[first : first + 4]]
        for num_tokens in range(1, 91):
            for sequence, prompt_ids in zip(sequences, prompts[first : first + 4], strict=True):
                compute(sequence, prompt_ids[:num_tokens])
        for sequence in sequences:
            table = sequence.block_table
            for begin in range(0, len(table), RUN_BLOCKS):
                segment = table[begin : begin + RUN_BLOCKS]
                assert segment == list(range(segment[0], segment[0] + len(segment)))
            sequence.close()
    assert cache.num_evicted_blocks > 256


def test_closing_twice_is_closing_once() -> None:
    cache, _ = new_cache()
    sequence = cache.open([1, 2, 3])
    compute(sequence, [1, 2, 3])
    sequence.close()
    sequence.close()
    assert (cache.num_used_blocks, cache.num_cached_blocks) == (0, 1)

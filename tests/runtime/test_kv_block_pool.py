"""Where blocks are placed, so that a sequence's blocks are neighbours."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.runtime.kv_cache.block_pool import MIN_RUNS, RUN_BLOCKS, BlockPool


def allocate_run(pool: BlockPool, num_blocks: int) -> list[int]:
    blocks = [pool.allocate(room=num_blocks)]
    while len(blocks) < num_blocks:
        blocks.append(pool.allocate(blocks[-1], room=num_blocks - len(blocks)))
    return blocks


def test_the_first_run_begins_at_the_start_and_stays_together() -> None:
    assert allocate_run(BlockPool(100), 10) == list(range(10))


def test_a_new_run_leaves_room_for_the_one_before_it() -> None:
    pool = BlockPool(100)
    allocate_run(pool, 10)
    assert allocate_run(pool, 20) == list(range(45, 65))  # 35 free blocks on either side
    assert pool.allocate(9) == 10
    assert pool.allocate(64) == 65


def test_a_run_that_is_blocked_goes_on_amid_the_largest_gap() -> None:
    pool = BlockPool(10)
    first = allocate_run(pool, 2)
    assert allocate_run(pool, 2) == [5, 6]  # of the gap [2, 10)
    assert [pool.allocate(first[-1]), pool.allocate(2), pool.allocate(3)] == [2, 3, 4]
    assert pool.allocate(4) == 8  # 5 is taken; the largest gap is [7, 10)


def test_runs_are_entered_where_the_table_stands_and_only_if_they_are_free() -> None:
    pool = BlockPool(MIN_RUNS * RUN_BLOCKS)
    assert allocate_run(pool, RUN_BLOCKS + 1) == list(range(RUN_BLOCKS + 1))
    fork = pool.allocate(index=RUN_BLOCKS + 3)
    assert fork % RUN_BLOCKS == 3
    other = pool.allocate(index=RUN_BLOCKS + 3)
    assert other // RUN_BLOCKS != fork // RUN_BLOCKS
    assert pool.allocate(after=fork) == fork + 1


def test_without_a_free_run_the_neighbour_is_taken_else_any_block() -> None:
    pool = BlockPool(MIN_RUNS * RUN_BLOCKS)
    blocks = allocate_run(pool, pool.num_blocks)
    assert not pool.has_run
    for block in blocks[5::RUN_BLOCKS]:
        pool.release(block)
    assert not pool.has_run
    assert pool.allocate(after=12, index=3) == 13
    assert pool.allocate(after=12, index=3) % RUN_BLOCKS == 5
    for block in range(64, 72):
        if block != 69:
            pool.release(block)
    assert pool.has_run
    assert pool.allocate(after=20, index=2) == 21, "inside its own run a sequence stays"
    assert pool.allocate(after=21, index=3) == 64 + 3


def test_a_run_that_fills_its_gap_begins_at_the_gaps_start() -> None:
    pool = BlockPool(10)
    blocks = allocate_run(pool, 10)
    for block in blocks[2:8]:
        pool.release(block)
    assert allocate_run(pool, 6) == [2, 3, 4, 5, 6, 7]


def test_an_empty_pool_is_untouched_again() -> None:
    pool = BlockPool(8)
    for block in reversed(allocate_run(pool, 5)):
        pool.release(block)
    assert pool.num_free_blocks == 8
    assert allocate_run(pool, 8) == list(range(8))


def test_a_block_is_free_when_its_last_holder_let_go() -> None:
    pool = BlockPool(1)
    block = pool.allocate()
    pool.retain(block)
    pool.release(block)
    assert (pool.num_holders(block), pool.num_free_blocks) == (1, 0)
    pool.release(block)
    assert (pool.num_holders(block), pool.num_free_blocks) == (0, 1)


@given(st.data())
def test_every_block_is_given_out_once(data: st.DataObject) -> None:
    """Whatever is taken and given back; neighbours are preferred, the largest gap is found."""
    pool, held = BlockPool(9), list[int]()
    for _ in range(data.draw(st.integers(0, 40))):
        if held and (pool.num_free_blocks == 0 or data.draw(st.booleans())):
            pool.release(held.pop(data.draw(st.integers(0, len(held) - 1))))
        else:
            after = data.draw(st.sampled_from(held)) if held and data.draw(st.booleans()) else None
            expected = expected_blocks(held, after)
            block = pool.allocate(after, room=1)
            assert block in expected
            held.append(block)
        assert pool.num_free_blocks == 9 - len(held)
        assert [pool.num_holders(block) for block in range(9)] == [
            int(block in held) for block in range(9)
        ]


def test_a_large_pool_gives_every_block_out_once_too() -> None:
    pool, held, rng = BlockPool(MIN_RUNS * RUN_BLOCKS), list[int](), random.Random(5)
    for _ in range(5000):
        if held and rng.random() < 0.5 * len(held) / 200:
            pool.release(held.pop(rng.randrange(len(held))))
        elif pool.num_free_blocks:
            after = rng.choice([None, *held[-3:]])
            block = pool.allocate(after, index=rng.randrange(100), room=rng.randint(1, 30))
            assert block not in held
            held.append(block)
        assert pool.num_free_blocks == pool.num_blocks - len(held)
    assert sum(map(pool.num_holders, range(pool.num_blocks))) == len(held)


def expected_blocks(held: list[int], after: int | None) -> set[int]:
    """The neighbour, or the middle of one of the largest gaps, found by looking at every block."""
    if after is not None and after + 1 < 9 and after + 1 not in held:
        return {after + 1}
    gaps: list[list[int]] = [[]]
    for block in range(9):
        if block in held:
            gaps.append([])
        else:
            gaps[-1].append(block)
    longest = max(map(len, gaps))
    if longest == 9:
        return {0}
    return {gap[(longest - 1) // 2] for gap in gaps if len(gap) == longest}

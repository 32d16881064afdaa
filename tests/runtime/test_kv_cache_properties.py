"""Random lives of many sequences in a cache of a few small blocks, checked after every operation.

The truth is kept beside the cache: what each slot was last written with. A slot's keys and values
depend on its token and on all tokens before it, so what is written there is a number for the whole
prefix: two slots are alike only if their prefixes are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rnj_agent.runtime.kv_cache import CachedSequence, KVCache
from rnj_agent.runtime.kv_cache.prefix_tree import Node

BLOCK_SIZE = 4
NUM_TOKENS = 2
"""A tiny vocabulary: prompts share prefixes and sequences compute the same blocks all the time."""

Slot = tuple[int, int]
"""(block, offset)"""


@dataclass(slots=True, eq=False)
class Life:
    """A sequence, and what it is to become."""

    wanted_ids: list[int]
    cached: CachedSequence


@dataclass(slots=True)
class World:
    """A cache, the truth about its slots, and the sequences that live in it."""

    num_blocks: int
    lives: list[Life] = field(default_factory=list[Life])
    slots: dict[Slot, int] = field(default_factory=dict[Slot, int])
    prefixes: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    num_computed_tokens: int = 0
    kv_cache: KVCache = field(init=False)

    def __post_init__(self) -> None:
        self.kv_cache = KVCache(self.num_blocks, BLOCK_SIZE, self.copy_block)

    def copy_block(self, source: int, destination: int) -> None:
        assert self.kv_cache.tree.pool.num_holders(destination) == 1, "copied into a shared block"
        for offset in range(BLOCK_SIZE):
            self.write((destination, offset), self.slots.get((source, offset), -1))

    def open(self, prompt_ids: list[int]) -> Life:
        life = Life(prompt_ids, self.kv_cache.open(prompt_ids))
        assert life.cached.length == life.cached.num_cached_tokens < len(prompt_ids)
        self.lives.append(life)
        return life

    def adopt(self, life: Life) -> None:
        before = life.cached.length
        gained = life.cached.adopt(life.wanted_ids)
        assert life.cached.length == before + gained
        assert gained == 0 or life.cached.length < len(life.wanted_ids)

    def compute(self, life: Life, num_tokens: int, num_rejected: int) -> bool:
        """A forward pass over wanted tokens and some drafts that turn out wrong."""
        cached = life.cached
        start, before = cached.length, self.state(cached)
        new_ids = life.wanted_ids[start : start + num_tokens]
        num_reserved = len(new_ids) + num_rejected
        if num_reserved == 0:
            return True
        if not cached.reserve(num_reserved):
            assert self.state(cached) == before, "a reserve that fails changes nothing"
            return False
        for position in range(start, start + num_reserved):
            slot = (cached.block_table[position // BLOCK_SIZE], position % BLOCK_SIZE)
            assert slot not in self.relied_on(), "written under a reader's eyes"
            self.write(slot, -1)
        prefix = self.prefix_of(cached.token_ids)
        for position, token_id in enumerate(new_ids, start):
            prefix = self.prefixes.setdefault((prefix, token_id), len(self.prefixes) + 1)
            self.write((cached.block_table[position // BLOCK_SIZE], position % BLOCK_SIZE), prefix)
        cached.commit(new_ids)
        self.num_computed_tokens += len(new_ids)
        assert cached.length == start + len(new_ids)
        return True

    def close(self, life: Life) -> None:
        self.lives.remove(life)
        life.cached.close()
        assert not life.cached.block_table

    def write(self, slot: Slot, prefix: int) -> None:
        assert self.kv_cache.tree.pool.num_holders(slot[0]) > 0, "written to a free block"
        self.slots[slot] = prefix

    def state(self, cached: CachedSequence) -> tuple[object, ...]:
        cache = self.kv_cache
        counts = (cache.num_free_blocks, cache.num_cached_blocks, cache.num_evicted_blocks)
        return (*cached.token_ids, *cached.block_table, cached.num_cached_tokens, counts)

    def prefix_of(self, token_ids: list[int]) -> int:
        prefix = 0
        for token_id in token_ids:
            prefix = self.prefixes[prefix, token_id]
        return prefix

    def nodes(self) -> list[tuple[Node, list[int]]]:
        """All nodes of the tree, each with the tokens from the root to its end."""
        found: list[tuple[Node, list[int]]] = []
        stack: list[tuple[Node, list[int]]] = [(self.kv_cache.tree.root, [])]
        while stack:
            node, token_ids = stack.pop()
            for child in node.children.values():
                found.append((child, [*token_ids, *child.tokens]))
                stack.append(found[-1])
        return found

    def relied_on(self) -> set[Slot]:
        """Slots that a sequence has counted or that the tree tells others of."""
        slots = {(n.block, offset) for n, _ in self.nodes() for offset in range(len(n.tokens))}
        for life in self.lives:
            table = life.cached.block_table
            slots |= {
                (table[position // BLOCK_SIZE], position % BLOCK_SIZE)
                for position in range(life.cached.length)
            }
        return slots

    def check(self) -> None:
        self.check_counts()
        self.check_contents()

    def check_counts(self) -> None:
        cache, pool = self.kv_cache, self.kv_cache.tree.pool
        nodes = [node for node, _ in self.nodes()]
        holders = [0] * self.num_blocks
        for node in nodes:
            holders[node.block] += 1
        assert max(holders) <= 1, "one block is at two places of the tree"
        tables = [life.cached.block_table for life in self.lives]
        for table in tables:
            assert len(set(table)) == len(table)
            for block in table:
                holders[block] += 1
        assert holders == [pool.num_holders(block) for block in range(self.num_blocks)]
        used = {block for table in tables for block in table}
        assert cache.num_used_blocks == len(used)
        assert cache.num_free_blocks == holders.count(0)
        assert cache.num_cached_blocks == len({node.block for node in nodes} - used)

    def check_contents(self) -> None:
        for node, token_ids in self.nodes():
            assert len(node.tokens) == BLOCK_SIZE or not node.children
            offset = len(node.tokens) - 1
            assert self.slots[node.block, offset] == self.prefix_of(token_ids)
        for life in self.lives:
            cached, prefix = life.cached, 0
            assert cached.token_ids == life.wanted_ids[: cached.length]
            assert cached.length <= len(cached.block_table) * BLOCK_SIZE
            for position, token_id in enumerate(cached.token_ids):
                prefix = self.prefixes[prefix, token_id]
                block = cached.block_table[position // BLOCK_SIZE]
                assert self.slots[block, position % BLOCK_SIZE] == prefix

    def end(self) -> None:
        for life in list(self.lives):
            self.close(life)
            self.check()
        self.kv_cache.reset()
        assert self.kv_cache.num_free_blocks == self.num_blocks


def random_operation(world: World, rng: random.Random) -> bool:
    """False: there was no room for it."""
    life = rng.choice(world.lives) if world.lives else None
    new_ids = rng.choices(range(NUM_TOKENS), k=rng.randint(1, 3))
    match rng.randrange(12):
        case 0 if len(world.lives) < 5:
            world.open(rng.choices(range(NUM_TOKENS), k=rng.randint(1, 24)))
        case 1 if life and len(world.lives) < 5:
            world.open(life.wanted_ids[: rng.randint(0, 24)] + new_ids)
        case 2 if life:
            world.close(life)
        case 3 | 4 if life:
            life.cached.publish()
        case 5 if life:
            world.adopt(life)
        case 6 | 7 if life:
            life.wanted_ids += new_ids
        case _ if life:
            return world.compute(life, rng.randint(0, 9), rng.choice((0, 0, 1, 5)))
        case _:
            pass
    return True


def test_ten_thousand_random_operations() -> None:
    world, rng = World(num_blocks=12), random.Random(7)
    num_refused = 0
    for _ in range(10_000):
        if not random_operation(world, rng):
            num_refused += 1
            world.close(rng.choice(world.lives))
        world.check()
    assert num_refused > 100, "the cache was never full: the test is too easy"
    assert world.kv_cache.num_evicted_blocks > 500
    world.end()


class CacheMachine(RuleBasedStateMachine):
    """The same, with failures shrunk to the shortest story."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(num_blocks=8)

    def has_lives(self) -> bool:
        return bool(self.world.lives)

    def pick(self, number: int) -> Life:
        return self.world.lives[number % len(self.world.lives)]

    @precondition(lambda self: len(self.world.lives) < 4)
    @rule(prompt_ids=st.lists(st.integers(0, NUM_TOKENS - 1), min_size=1, max_size=20))
    def open(self, prompt_ids: list[int]) -> None:
        self.world.open(prompt_ids)

    @precondition(has_lives)
    @rule(number=st.integers(0, 3), num_dropped=st.integers(0, 6))
    def open_like_another(self, number: int, num_dropped: int) -> None:
        wanted_ids = self.pick(number).wanted_ids
        if len(self.world.lives) < 4:
            self.world.open(wanted_ids[: max(1, len(wanted_ids) - num_dropped)])

    @precondition(has_lives)
    @rule(number=st.integers(0, 3), num_tokens=st.integers(0, 9), num_rejected=st.integers(0, 5))
    def compute(self, number: int, num_tokens: int, num_rejected: int) -> None:
        self.world.compute(self.pick(number), num_tokens, num_rejected)

    @precondition(has_lives)
    @rule(number=st.integers(0, 3), token_ids=st.lists(st.integers(0, NUM_TOKENS - 1), max_size=5))
    def go_on(self, number: int, token_ids: list[int]) -> None:
        self.pick(number).wanted_ids += token_ids

    @precondition(has_lives)
    @rule(number=st.integers(0, 3))
    def adopt(self, number: int) -> None:
        self.world.adopt(self.pick(number))

    @precondition(has_lives)
    @rule(number=st.integers(0, 3))
    def publish(self, number: int) -> None:
        self.pick(number).cached.publish()

    @precondition(has_lives)
    @rule(number=st.integers(0, 3))
    def close(self, number: int) -> None:
        self.world.close(self.pick(number))

    @rule()
    def reset(self) -> None:
        self.world.kv_cache.reset()
        assert self.world.kv_cache.num_cached_blocks == 0

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.end()


CacheMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCacheMachine = CacheMachine.TestCase


def test_a_sequence_that_is_alone_can_fill_the_pool() -> None:
    """Also after others left partial blocks that it shares: no block is lost to a copy."""
    rng = random.Random(3)
    for _ in range(200):
        world = World(num_blocks=5)
        wanted_ids = rng.choices(range(NUM_TOKENS), k=20)
        for _ in range(3):
            prompt_ids = [*wanted_ids[: rng.randint(0, 16)], rng.randrange(NUM_TOKENS), 0, 0]
            other = world.open(prompt_ids)
            world.compute(other, len(prompt_ids), 0)
            world.close(other)
        life = world.open(wanted_ids)
        while life.cached.length < 20:
            assert world.compute(life, rng.randint(1, 6), 0)
            world.check()
        world.end()


def test_attempts_from_one_prompt_compute_it_once_though_their_chunks_alternate() -> None:
    world = World(num_blocks=64)
    prompt_ids = random.Random(1).choices(range(NUM_TOKENS), k=50)
    lives = [world.open(list(prompt_ids)) for _ in range(4)]
    while any(life.cached.length < 50 for life in lives):
        for life in lives:
            world.adopt(life)
            world.compute(life, 8, 0)
            if life.cached.length == 50:
                life.cached.publish()
            world.check()
    assert world.num_computed_tokens == 50 + 3
    world.end()

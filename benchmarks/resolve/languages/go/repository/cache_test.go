package lru

import (
	"testing"
	"time"
)

func expect(t *testing.T, cache *Cache, name string, value any) {
	t.Helper()
	got, ok := cache.Get(name)
	if !ok || got != value {
		t.Errorf("Get(%q) = %v, %v; want %v", name, got, ok, value)
	}
}

func expectNone(t *testing.T, cache *Cache, name string) {
	t.Helper()
	if got, ok := cache.Get(name); ok {
		t.Errorf("Get(%q) = %v; want nothing", name, got)
	}
}

func TestKeepsWhatFits(t *testing.T) {
	cache := New(2)
	cache.Put("a", 1)
	cache.Put("b", 2)
	expect(t, cache, "a", 1)
	expect(t, cache, "b", 2)
	expectNone(t, cache, "c")
}

func TestTheOldestGoes(t *testing.T) {
	cache := New(2)
	cache.Put("a", 1)
	cache.Put("b", 2)
	cache.Put("c", 3)
	expectNone(t, cache, "a")
	expect(t, cache, "b", 2)
	expect(t, cache, "c", 3)
}

func TestWhatWasReadStays(t *testing.T) {
	cache := New(2)
	cache.Put("a", 1)
	cache.Put("b", 2)
	expect(t, cache, "a", 1)
	cache.Put("c", 3)
	expectNone(t, cache, "b")
	expect(t, cache, "a", 1)
}

func TestWhatWasPutAgainStays(t *testing.T) {
	cache := New(2)
	cache.Put("a", 1)
	cache.Put("b", 2)
	cache.Put("a", 10)
	cache.Put("c", 3)
	expectNone(t, cache, "b")
	expect(t, cache, "a", 10)
}

func TestEntriesEnd(t *testing.T) {
	now := time.Unix(1000, 0)
	cache := New(2)
	cache.now = func() time.Time { return now }
	cache.PutFor("a", 1, time.Minute)
	now = now.Add(59 * time.Second)
	expect(t, cache, "a", 1)
	now = now.Add(time.Second)
	expectNone(t, cache, "a")
	if cache.Len() != 0 {
		t.Errorf("Len() = %d; want 0", cache.Len())
	}
}

func TestDeletesFromAnyPlace(t *testing.T) {
	for _, gone := range []string{"a", "b", "c"} {
		cache := New(3)
		cache.Put("a", 1)
		cache.Put("b", 2)
		cache.Put("c", 3)
		cache.Delete(gone)
		expectNone(t, cache, gone)
		if cache.Len() != 2 {
			t.Errorf("Len() = %d; want 2", cache.Len())
		}
	}
}

func TestCounts(t *testing.T) {
	cache := New(1)
	cache.Put("a", 1)
	cache.Get("a")
	cache.Get("b")
	cache.Put("b", 2)
	if got, want := cache.Stats().String(), "1 hits, 1 misses, 1 evictions"; got != want {
		t.Errorf("Stats() = %s; want %s", got, want)
	}
	if got := cache.Stats().HitRate(); got != 0.5 {
		t.Errorf("HitRate() = %v; want 0.5", got)
	}
}

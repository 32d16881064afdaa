// Package lru is a cache that forgets what was not used for the longest time.
package lru

import "time"

// Cache maps names to values. It is not safe for use by several goroutines.
type Cache struct {
	capacity int
	entries  map[string]*entry
	order    order
	stats    Stats
	now      func() time.Time
}

// New returns an empty cache for at most capacity entries, which must be above zero.
func New(capacity int) *Cache {
	if capacity < 1 {
		panic("lru: a cache needs room for one entry")
	}
	return &Cache{capacity: capacity, entries: make(map[string]*entry), now: time.Now}
}

// Put stores a value that has no end.
func (c *Cache) Put(name string, value any) {
	c.put(name, value, time.Time{})
}

// PutFor stores a value that ends after some time.
func (c *Cache) PutFor(name string, value any, lifetime time.Duration) {
	c.put(name, value, c.now().Add(lifetime))
}

// Get returns the value of a name, and whether there is one.
func (c *Cache) Get(name string) (any, bool) {
	found, ok := c.entries[name]
	if !ok {
		c.stats.Misses++
		return nil, false
	}
	if found.isOver(c.now()) {
		c.drop(found)
		c.stats.Misses++
		return nil, false
	}
	c.stats.Hits++
	return found.value, true
}

// Delete forgets a name.
func (c *Cache) Delete(name string) {
	if found, ok := c.entries[name]; ok {
		c.drop(found)
	}
}

// Len is the number of entries, those that are over included.
func (c *Cache) Len() int {
	return len(c.entries)
}

// Stats tells how often the cache was of use.
func (c *Cache) Stats() Stats {
	return c.stats
}

func (c *Cache) put(name string, value any, end time.Time) {
	if found, ok := c.entries[name]; ok {
		found.value, found.end = value, end
		c.order.toFront(found)
		return
	}
	if len(c.entries) == c.capacity {
		c.drop(c.order.last)
		c.stats.Evictions++
	}
	added := &entry{name: name, value: value, end: end}
	c.entries[name] = added
	c.order.pushFront(added)
}

func (c *Cache) drop(gone *entry) {
	c.order.remove(gone)
	delete(c.entries, gone.name)
}

package lru

import "time"

// entry is a value with its neighbours in the order of use.
type entry struct {
	name         string
	value        any
	end          time.Time
	newer, older *entry
}

func (e *entry) isOver(now time.Time) bool {
	return !e.end.IsZero() && !now.Before(e.end)
}

// order is a list of entries, from the most to the least recently used.
type order struct {
	first, last *entry
}

func (o *order) pushFront(e *entry) {
	e.newer, e.older = nil, o.first
	if o.first == nil {
		o.last = e
	} else {
		o.first.newer = e
	}
	o.first = e
}

func (o *order) remove(e *entry) {
	if e.newer == nil {
		o.first = e.older
	} else {
		e.newer.older = e.older
	}
	if e.older == nil {
		o.last = e.newer
	} else {
		e.older.newer = e.newer
	}
	e.newer, e.older = nil, nil
}

func (o *order) toFront(e *entry) {
	o.remove(e)
	o.pushFront(e)
}

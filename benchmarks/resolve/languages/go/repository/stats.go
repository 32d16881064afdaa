package lru

import "fmt"

// Stats counts what a cache has done.
type Stats struct {
	Hits, Misses, Evictions int
}

// HitRate is the share of hits, 0 where nothing was asked for.
func (s Stats) HitRate() float64 {
	total := s.Hits + s.Misses
	if total == 0 {
		return 0
	}
	return float64(s.Hits) / float64(total)
}

func (s Stats) String() string {
	return fmt.Sprintf("%d hits, %d misses, %d evictions", s.Hits, s.Misses, s.Evictions)
}

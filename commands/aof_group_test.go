package commands

import (
	"testing"

	"ferrous/eventloop"
)

// How many clients a group waits for: the different ones of the last two.
func TestGroupExpected(t *testing.T) {
	conns := make([]*eventloop.Conn, 10)
	for i := range conns {
		conns[i] = &eventloop.Conn{Ctx: &Client{}}
	}
	g := group{number: 2}
	for i, step := range []struct {
		clients  []int
		expected int // by the next group
	}{
		{[]int{0}, 1},
		{[]int{0}, 1}, // alone, again and again: nobody to wait for
		{[]int{0}, 1},
		{[]int{1, 2, 3, 4}, 5},
		{[]int{5, 6}, 6}, // two halves in turn
		{[]int{1, 2, 3, 4}, 6},
		{[]int{5, 6, 1, 2, 3, 4}, 6}, // become one
		{[]int{1, 2, 3, 4, 5, 6}, 6},
		{[]int{2, 3}, 6}, // some stay away
		{[]int{2, 3}, 2}, // and are forgotten
		{[]int{3, 7, 8, 9}, 5},
	} {
		for _, n := range step.clients {
			g.add(conns[n])
		}
		if len(g.held) != len(step.clients) {
			t.Fatalf("step %d: %d held", i, len(g.held))
		}
		if g.next(); g.expected != step.expected || len(g.held) != 0 {
			t.Errorf("after step %d: %d expected, want %d", i, g.expected, step.expected)
		}
	}
}

package commands

import "testing"

// TestFeeding: replicas are written to at the end of a packet where round after round has brought one packet only.
func TestFeeding(t *testing.T) {
	var f feeding
	round := func(packets int) {
		f.packets = packets
		f.learn()
	}
	for i := range aloneMost + 1 {
		if f.direct != 0 {
			t.Fatalf("written to at the end of a packet after %d rounds", i)
		}
		round(1)
	}
	if f.direct != learnEvery || f.packets != 0 {
		t.Errorf("%d packets write to replicas at their end, %d waiting", f.direct, f.packets)
	}
	round(0)
	if f.direct != 0 {
		t.Error("a round is not looked at")
	}
	for range 3 * aloneMost {
		round(1)
		round(2)
		if f.direct != 0 {
			t.Fatal("rounds with several packets are not seen")
		}
	}
}

// TestFeedingEnd: a packet writes to replicas at its end if it may, is alone in its round so far, and has few of them to write to.
func TestFeedingEnd(t *testing.T) {
	for _, c := range []struct {
		direct, packets, replicas int
		waits, want               bool
	}{
		{0, 0, 1, false, false},
		{5, 0, 1, false, true},
		{5, 0, directReplicas, false, true},
		{5, 0, directReplicas + 1, false, false},
		{5, 1, 1, false, false},
		{5, 0, 1, true, false},
	} {
		f := feeding{put: true, direct: c.direct, packets: c.packets}
		got := f.end(c.replicas, c.waits)
		left, packets := c.direct, c.packets+1
		if c.want {
			left, packets = c.direct-1, 0
		}
		if got != c.want || f.put || f.direct != left || f.packets != packets {
			t.Errorf("%+v: %t, then %+v", c, got, f)
		}
	}
}

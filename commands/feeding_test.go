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

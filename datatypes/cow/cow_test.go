package cow

import "testing"

func TestGeneration(t *testing.T) {
	var g Generation
	made := g.Current()
	if g.Pinned() || !g.Owns(made) || !g.Owns(made+1) {
		t.Error("without a snapshot not everything may be written")
	}
	g.Pin()
	if !g.Pinned() || g.Owns(made) || !g.Owns(g.Current()) {
		t.Error("a snapshot does not freeze what there was, or more")
	}
	if stamp := g.Copying(100); !g.Owns(stamp) || g.Copied() != 100 {
		t.Errorf("stamp %d, %d bytes", stamp, g.Copied())
	}
	g.Copying(20)
	g.Unpin()
	if !g.Owns(made) || g.Copied() != 120 {
		t.Errorf("after the snapshot %d bytes", g.Copied())
	}
	g.Pin()
	if g.Copied() != 0 {
		t.Errorf("a new snapshot begins with %d bytes", g.Copied())
	}
	defer func() {
		if recover() == nil {
			t.Error("a second snapshot is pinned")
		}
	}()
	g.Pin()
}

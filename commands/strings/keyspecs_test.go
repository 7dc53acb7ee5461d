package strings

import (
	"strings"
	"testing"

	"ferrous/commands/session"
)

func TestSetKeys(t *testing.T) {
	for _, tc := range []struct {
		cmd  string
		want session.KeyFlags
	}{
		{"set k v", session.KeyOW | session.KeyUpdate},
		{"set k v nx ex 5", session.KeyOW | session.KeyUpdate},
		{"set k v nx GeT", session.KeyRW | session.KeyAccess | session.KeyUpdate},
		{"set k v ifeq x", session.KeyRW | session.KeyAccess | session.KeyUpdate},
		{"set get get", session.KeyOW | session.KeyUpdate},
	} {
		var args [][]byte
		for _, w := range strings.Fields(tc.cmd) {
			args = append(args, []byte(w))
		}
		refs, ok := setKeys(args)
		if !ok || len(refs) != 1 || refs[0] != (session.KeyRef{Pos: 1, Flags: tc.want}) {
			t.Errorf("%s: %v %v", tc.cmd, refs, ok)
		}
	}
}

func TestBitFieldKeys(t *testing.T) {
	for _, tc := range []struct {
		cmd  string
		want session.KeyFlags
	}{
		{"bitfield k", session.KeyRO | session.KeyAccess},
		{"bitfield k get u8 0", session.KeyRO | session.KeyAccess},
		{"bitfield k overflow sat get u8 0", session.KeyRO | session.KeyAccess},
		{"bitfield k get u8 0 set u8 0 1", session.KeyRW | session.KeyAccess | session.KeyUpdate},
		{"bitfield k overflow sat incrby u8 0 1", session.KeyRW | session.KeyAccess | session.KeyUpdate},
		{"bitfield k get u8", session.KeyRW | session.KeyAccess | session.KeyUpdate},
		{"bitfield k nonsense", session.KeyRW | session.KeyAccess | session.KeyUpdate},
	} {
		var args [][]byte
		for _, w := range strings.Fields(tc.cmd) {
			args = append(args, []byte(w))
		}
		refs, ok := bitfieldKeys(args)
		if !ok || len(refs) != 1 || refs[0] != (session.KeyRef{Pos: 1, Flags: tc.want}) {
			t.Errorf("%s: %v %v", tc.cmd, refs, ok)
		}
	}
}

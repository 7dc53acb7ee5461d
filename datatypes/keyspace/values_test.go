package keyspace

import (
	"testing"

	"ferrous/datatypes/record"
)

// TestEveryTypeHasAKind checks that each type of package record but strings, which are in their record, and modules, which
// do not exist here, has a line in valueKinds, and a name of its own.
func TestEveryTypeHasAKind(t *testing.T) {
	names := make(map[string]record.Type)
	for typ := range record.NumTypes {
		name := typ.String()
		if other, ok := names[name]; ok || name == "" {
			t.Errorf("types %d and %d have the name %q", other, typ, name)
		}
		names[name] = typ
		if typ == record.String || typ == record.Module {
			continue
		}
		if int(typ) >= len(valueKinds) || valueKinds[typ].value == nil {
			t.Errorf("type %s has no line in valueKinds", name)
		}
	}
}

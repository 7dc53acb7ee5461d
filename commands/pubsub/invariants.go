//go:build invariants

package pubsub

import "fmt"

// Recount visits all channels and returns what contradicts itself. setOf returns a subscriber's set, nil if nobody may be
// subscribed for it any more. memberships is how many there are.
func (r *Registry[S]) Recount(setOf func(S) *Set[S]) (memberships int, found []string) {
	bytes := 0
	for i, ch := range r.list {
		bytes += channelBytes + 2*len(ch.name)
		if r.byName[string(ch.name)] != ch || ch.at != i {
			found = append(found, fmt.Sprintf("channel %.64q is not where it is looked for", ch.name))
		}
		n := 0
		for j, x := range ch.rows {
			if x.member == nil {
				continue
			}
			n++
			set := setOf(x.subscriber)
			switch {
			case set == nil:
				found = append(found, fmt.Sprintf("channel %.64q has a subscriber who is gone", ch.name))
			case x.member.ch != ch || x.member.inRow != j || set.find(ch) != x.member ||
				x.member.inSet >= len(set.list) || set.list[x.member.inSet] != x.member:
				found = append(found, fmt.Sprintf("channel %.64q has a subscriber whose set does not know it", ch.name))
			}
		}
		if n == 0 || n != ch.Len() {
			found = append(found, fmt.Sprintf("channel %.64q has %d subscribers, counted %d", ch.name, ch.Len(), n))
		}
		memberships += n
	}
	if len(r.byName) != len(r.list) || bytes != r.bytes {
		found = append(found, fmt.Sprintf("%d channels of %d bytes, counted %d of %d", len(r.byName), r.bytes, len(r.list), bytes))
	}
	return memberships, found
}

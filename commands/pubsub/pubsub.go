// Package pubsub keeps the subscriptions of clients to channels and patterns.
//
// # Terms
//
// A Registry is a namespace of names: the channels of a server, its patterns, its shard channels. A name that somebody
// is subscribed to has a Channel; it is made for the first subscriber and dropped with the last. A Set is the other side: the
// channels of one registry that one subscriber is subscribed to. A membership joins the two, and knows its place in both, so
// that entering and leaving cost the same however many subscribers a channel has and however many channels a subscriber.
//
// # Order
//
// The subscribers of a channel are visited in the order in which they came, as in Redis. One who leaves therefore makes
// a hole; when most places are holes the row is closed up. The channels of a registry and of a set are visited in the
// order in which they came until one leaves: then the last one takes its place. (Redis has them in the order of a hash
// table.)
//
// # Memory
//
// A Set is empty as a zero value and holds nothing then. Up to smallSet channels it is a list that is searched, beyond
// that it has an index.
//
// Nothing here knows what a subscriber is, only that it can be compared and that it is not the zero value. All of a
// registry and its sets belongs to one goroutine. Neither must be changed while it is walked over.
package pubsub

import (
	"iter"

	"ferrous/commands/glob"
)

// smallSet is the number of channels up to which a set is searched one by one.
const smallSet = 8

// What the parts cost in bytes, with the allocator's rounding and the shares of maps and lists.
const (
	channelBytes    = 256
	membershipBytes = 88
)

// Registry is a namespace of channels. The zero value is empty and ready.
type Registry[S comparable] struct {
	byName map[string]*Channel[S]
	list   []*Channel[S]
	bytes  int
}

// Channel is a name and its subscribers, of which there is at least one.
type Channel[S comparable] struct {
	name  []byte
	at    int // in Registry.list
	rows  []row[S]
	holes int
}

// row is a subscriber's place in a channel. member is nil in a hole.
type row[S comparable] struct {
	subscriber S
	member     *membership[S]
}

// membership is one subscriber's being subscribed to one channel.
type membership[S comparable] struct {
	ch    *Channel[S]
	inRow int // in Channel.rows
	inSet int // in Set.list
}

// Set is what one subscriber is subscribed to. The zero value is empty.
type Set[S comparable] struct {
	list  []*membership[S]
	index map[*Channel[S]]*membership[S] // nil up to smallSet
}

// Len returns the number of channels.
func (s *Set[S]) Len() int { return len(s.list) }

// Bytes returns about how much memory the set and its subscriber's rows in the channels hold.
func (s *Set[S]) Bytes() int { return len(s.list) * membershipBytes }

// Channels visits the channels.
func (s *Set[S]) Channels() iter.Seq[*Channel[S]] {
	return func(yield func(*Channel[S]) bool) {
		for _, m := range s.list {
			if !yield(m.ch) {
				return
			}
		}
	}
}

// First returns the channel that has been in the set for longest (see the package comment for what removal does to the
// order), nil if the set is empty. The name of the channel is valid after it is left, too.
func (s *Set[S]) First() *Channel[S] {
	if len(s.list) == 0 {
		return nil
	}
	return s.list[0].ch
}

func (s *Set[S]) find(ch *Channel[S]) *membership[S] {
	if s.index != nil {
		return s.index[ch]
	}
	for _, m := range s.list {
		if m.ch == ch {
			return m
		}
	}
	return nil
}

func (s *Set[S]) add(m *membership[S]) {
	m.inSet = len(s.list)
	s.list = append(s.list, m)
	if s.index != nil {
		s.index[m.ch] = m
	} else if len(s.list) > smallSet {
		s.index = make(map[*Channel[S]]*membership[S], 2*smallSet)
		for _, m := range s.list {
			s.index[m.ch] = m
		}
	}
}

func (s *Set[S]) remove(m *membership[S]) {
	last := len(s.list) - 1
	s.list[m.inSet] = s.list[last]
	s.list[m.inSet].inSet = m.inSet
	s.list[last] = nil
	s.list = s.list[:last]
	if s.index != nil {
		delete(s.index, m.ch)
	}
	if last == 0 {
		*s = Set[S]{}
	}
}

// Name returns the channel's name, which must not be changed.
func (ch *Channel[S]) Name() []byte { return ch.name }

// Len returns the number of subscribers.
func (ch *Channel[S]) Len() int { return len(ch.rows) - ch.holes }

// Subscribers visits the subscribers in the order in which they came.
func (ch *Channel[S]) Subscribers() iter.Seq[S] {
	return func(yield func(S) bool) {
		for i := range ch.rows {
			if r := &ch.rows[i]; r.member != nil && !yield(r.subscriber) {
				return
			}
		}
	}
}

// Len returns the number of channels.
func (r *Registry[S]) Len() int { return len(r.list) }

// Bytes returns about how much memory the registry holds, without what is counted by the sets of its subscribers.
func (r *Registry[S]) Bytes() int { return r.bytes }

// Find returns the channel of that name, nil if nobody is subscribed to it.
func (r *Registry[S]) Find(name []byte) *Channel[S] { return r.byName[string(name)] }

// Channels visits all channels.
func (r *Registry[S]) Channels() iter.Seq[*Channel[S]] {
	return func(yield func(*Channel[S]) bool) {
		for _, ch := range r.list {
			if !yield(ch) {
				return
			}
		}
	}
}

// Matching visits the channels whose name is a pattern that matches s.
func (r *Registry[S]) Matching(s []byte) iter.Seq[*Channel[S]] {
	return func(yield func(*Channel[S]) bool) {
		for _, ch := range r.list {
			if glob.Match(ch.name, s, false) && !yield(ch) {
				return
			}
		}
	}
}

// Subscribe enters a subscriber, whose set is given, to the channel of that name, which is copied. It reports whether it
// was not subscribed before.
func (r *Registry[S]) Subscribe(set *Set[S], subscriber S, name []byte) bool {
	ch := r.byName[string(name)]
	if ch == nil {
		ch = &Channel[S]{name: append([]byte{}, name...), at: len(r.list)}
		if r.byName == nil {
			r.byName = make(map[string]*Channel[S])
		}
		r.byName[string(name)] = ch
		r.list = append(r.list, ch)
		r.bytes += channelBytes + 2*len(name)
	} else if set.find(ch) != nil {
		return false
	}
	m := &membership[S]{ch: ch, inRow: len(ch.rows)}
	ch.rows = append(ch.rows, row[S]{subscriber, m})
	set.add(m)
	return true
}

// Unsubscribe takes a subscriber, whose set is given, from the channel of that name. It reports whether it was
// subscribed.
func (r *Registry[S]) Unsubscribe(set *Set[S], name []byte) bool {
	ch := r.byName[string(name)]
	if ch == nil {
		return false
	}
	m := set.find(ch)
	if m == nil {
		return false
	}
	set.remove(m)
	r.leave(m)
	return true
}

// Clear takes a subscriber from all channels of its set.
func (r *Registry[S]) Clear(set *Set[S]) {
	for _, m := range set.list {
		r.leave(m)
	}
	*set = Set[S]{}
}

// leave makes a hole in the channel's rows.
func (r *Registry[S]) leave(m *membership[S]) {
	ch := m.ch
	ch.rows[m.inRow] = row[S]{}
	ch.holes++
	switch n := ch.Len(); {
	case n == 0:
		r.drop(ch)
	case ch.holes > n+8:
		ch.closeUp(n)
	}
}

// closeUp removes the holes; n rows are left.
func (ch *Channel[S]) closeUp(n int) {
	rows := ch.rows
	if cap(rows) > 4*n {
		rows = make([]row[S], n)
	}
	i := 0
	for _, x := range ch.rows {
		if x.member != nil {
			x.member.inRow = i
			rows[i] = x
			i++
		}
	}
	clear(rows[i:])
	ch.rows, ch.holes = rows[:i], 0
}

// drop removes a channel without subscribers.
func (r *Registry[S]) drop(ch *Channel[S]) {
	delete(r.byName, string(ch.name))
	last := len(r.list) - 1
	r.list[ch.at] = r.list[last]
	r.list[ch.at].at = ch.at
	r.list[last] = nil
	r.list = r.list[:last]
	r.bytes -= channelBytes + 2*len(ch.name)
	if last == 0 {
		r.byName, r.list = nil, nil
	}
}

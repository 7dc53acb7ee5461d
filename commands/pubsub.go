package commands

import (
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/commands/pubsub"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Channels: SUBSCRIBE and its relatives, PUBLISH, PUBSUB, and keyspace events, which are published like messages.
//
// Package pubsub keeps the subscriptions in three registries: channels, patterns, and shard channels, which are separate from
// the other two. push.go describes how a message reaches a subscriber.
//
// A client that speaks RESP2 and is subscribed to something may only subscribe, unsubscribe, PING, QUIT and RESET, since
// messages and replies look alike (admit). With RESP3 messages are pushes, and there is no restriction.

// channelKind is a kind of names to subscribe to.
type channelKind uint8

const (
	kindChannel channelKind = iota
	kindPattern
	kindShard
	channelKinds
)

// channels are the subscriptions of a server's clients.
type channels struct {
	registries [channelKinds]pubsub.Registry[*Client]
	clients    int // that are subscribed to something
}

// The first words of messages and confirmations.
var (
	wordMessage  = []byte("message")
	wordPMessage = []byte("pmessage")
	wordSMessage = []byte("smessage")

	subscribedWords   = [channelKinds]string{"subscribe", "psubscribe", "ssubscribe"}
	unsubscribedWords = [channelKinds]string{"unsubscribe", "punsubscribe", "sunsubscribe"}
)

const pubsubFlags = session.PubSub | session.NoScript | session.Loading | session.Stale

var shardKeys = session.KeyRange(session.KeyNotKey, -1, 1)

var pubsubCommands = []session.Command{
	{Name: "psubscribe", Arity: -2, Flags: pubsubFlags, Handler: connected(psubscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelSubscribe | session.ChannelPattern, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "2.0.0", Complexity: "O(N) in the number of patterns",
		Summary: "Subscribes to the channels whose names match patterns.",
		Args:    []session.Arg{{Name: "pattern", Type: session.ArgPattern, Multiple: true}}},
	{Name: "publish", Arity: 3, Flags: session.PubSub | session.Loading | session.Stale | session.Fast | session.MayReplicate, Handler: connected(publish),
		Channels: session.ChannelSpec{Flags: session.ChannelPublish, Index: 1},
		Group:    session.GroupPubSub, Since: "2.0.0",
		Complexity: "O(N+M) with N the number of the channel's subscribers and M the number of patterns of all clients",
		Summary:    "Sends a message to a channel.", Args: []session.Arg{session.StringArg("channel"), session.StringArg("message")}},
	{Name: "pubsub", Arity: -2, Group: session.GroupPubSub, Since: "2.8.0", Complexity: "Depends on the subcommand.",
		Summary: "Container of commands that tell of channels.",
		Subs: []session.Command{
			{Name: "channels", Arity: -2, Flags: session.PubSub | session.Loading | session.Stale, Handler: connected(pubsubChannels),
				Group: session.GroupPubSub, Since: "2.8.0", Complexity: "O(N) in the number of channels",
				Summary: "Lists the channels that have subscribers.",
				Args:    []session.Arg{{Name: "pattern", Type: session.ArgPattern, Optional: true}}},
			{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(pubsubHelp),
				Group: session.GroupPubSub, Since: "6.2.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
			{Name: "numpat", Arity: 2, Flags: session.PubSub | session.Loading | session.Stale, Handler: connected(pubsubNumpat),
				Group: session.GroupPubSub, Since: "2.8.0", Complexity: "O(1)", Summary: "Counts the patterns that have subscribers."},
			{Name: "numsub", Arity: -2, Flags: session.PubSub | session.Loading | session.Stale, Handler: connected(pubsubNumsub),
				Group: session.GroupPubSub, Since: "2.8.0", Complexity: "O(N) in the number of channels asked for",
				Summary: "Counts the subscribers of channels.", Args: []session.Arg{session.StringArg("channel").Opt().Many()}},
			{Name: "shardchannels", Arity: -2, Flags: session.PubSub | session.Loading | session.Stale, Handler: connected(pubsubShardchannels),
				Group: session.GroupPubSub, Since: "7.0.0", Complexity: "O(N) in the number of shard channels",
				Summary: "Lists the shard channels that have subscribers.",
				Args:    []session.Arg{{Name: "pattern", Type: session.ArgPattern, Optional: true}}},
			{Name: "shardnumsub", Arity: -2, Flags: session.PubSub | session.Loading | session.Stale, Handler: connected(pubsubShardnumsub),
				Group: session.GroupPubSub, Since: "7.0.0", Complexity: "O(N) in the number of shard channels asked for",
				Summary: "Counts the subscribers of shard channels.",
				Args:    []session.Arg{session.StringArg("shardchannel").Opt().Many()}},
		}},
	{Name: "punsubscribe", Arity: -1, Flags: pubsubFlags, Handler: connected(punsubscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelUnsubscribe | session.ChannelPattern, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "2.0.0", Complexity: "O(N) in the number of patterns",
		Summary: "Ends subscriptions to patterns, all of them unless some are named.",
		Args:    []session.Arg{{Name: "pattern", Type: session.ArgPattern, Optional: true, Multiple: true}}},
	{Name: "spublish", Arity: 3, Flags: session.PubSub | session.Loading | session.Stale | session.Fast | session.MayReplicate, Handler: connected(spublish),
		Channels: session.ChannelSpec{Flags: session.ChannelPublish, Index: 1},
		Group:    session.GroupPubSub, Since: "7.0.0", Complexity: "O(N) in the number of the shard channel's subscribers",
		Summary: "Sends a message to a shard channel.", Keys: session.OneKey(session.KeyNotKey),
		Args: []session.Arg{session.StringArg("shardchannel"), session.StringArg("message")}},
	{Name: "ssubscribe", Arity: -2, Flags: pubsubFlags, Handler: connected(ssubscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelSubscribe, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "7.0.0", Complexity: "O(N) in the number of shard channels",
		Summary: "Subscribes to shard channels.", Keys: shardKeys, Args: []session.Arg{session.StringArg("shardchannel").Many()}},
	{Name: "subscribe", Arity: -2, Flags: pubsubFlags, Handler: connected(subscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelSubscribe, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "2.0.0", Complexity: "O(N) in the number of channels",
		Summary: "Subscribes to channels.", Args: []session.Arg{session.StringArg("channel").Many()}},
	{Name: "sunsubscribe", Arity: -1, Flags: pubsubFlags, Handler: connected(sunsubscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelUnsubscribe, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "7.0.0", Complexity: "O(N) in the number of shard channels",
		Summary: "Ends subscriptions to shard channels, all of them unless some are named.", Keys: shardKeys,
		Args: []session.Arg{session.StringArg("shardchannel").Opt().Many()}},
	{Name: "unsubscribe", Arity: -1, Flags: pubsubFlags, Handler: connected(unsubscribe),
		Channels: session.ChannelSpec{Flags: session.ChannelUnsubscribe, Index: 1, Rest: true},
		Group:    session.GroupPubSub, Since: "2.0.0", Complexity: "O(N) in the number of channels",
		Summary: "Ends subscriptions to channels, all of them unless some are named.",
		Args:    []session.Arg{session.StringArg("channel").Opt().Many()}},
}

// errNotSubscribed is Redis's error for all else in a connection that waits for messages under RESP2.
func errNotSubscribed(full string) string {
	return "ERR Can't execute '" + full + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed " +
		"in this context"
}

const errShardInMulti = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"

// runsSubscribed are the commands that a client may send that is subscribed to something and speaks RESP2.
var runsSubscribed = map[string]bool{"ping": true, "subscribe": true, "ssubscribe": true, "unsubscribe": true,
	"sunsubscribe": true, "psubscribe": true, "punsubscribe": true, "quit": true, "reset": true}

// subscriptions returns how many names of a kind the client is subscribed to.
func (c *Client) subscriptions(kind channelKind) int {
	if c.pushes == nil {
		return 0
	}
	return c.pushes.subs[kind].Len()
}

// subscribed reports whether the client is subscribed to anything.
func (c *Client) subscribed() bool {
	return c.pushes != nil && c.subscriptions(kindChannel)+c.subscriptions(kindPattern)+c.subscriptions(kindShard) > 0
}

// confirm sends a confirmation: the client is now subscribed to a name, or no longer, and to how many names in all. It is a
// push that stands for the command's reply. A nil name is a null.
func (c *Client) confirm(word string, kind channelKind, name []byte) {
	start := len(c.W.Buf)
	n := c.subscriptions(kind)
	switch kind {
	case kindChannel:
		n += c.subscriptions(kindPattern)
	case kindPattern:
		n += c.subscriptions(kindChannel)
	}
	c.W.Push(3)
	c.W.BulkString(word)
	if name == nil {
		c.W.Null()
	} else {
		c.W.Bulk(name)
	}
	c.W.Int(int64(n))
	c.keepConfirmation(start)
}

func (c *Client) subscribe(kind channelKind) {
	ch := &c.srv.channels
	if !c.subscribed() {
		ch.clients++
	}
	set := &c.ensurePushes().subs[kind]
	for _, name := range c.Args[1:] {
		ch.registries[kind].Subscribe(set, c, name)
		c.confirm(subscribedWords[kind], kind, name)
	}
}

func (c *Client) unsubscribe(kind channelKind) {
	ch, word := &c.srv.channels, unsubscribedWords[kind]
	was := c.subscribed()
	switch {
	case len(c.Args) > 1:
		for _, name := range c.Args[1:] {
			if was {
				ch.registries[kind].Unsubscribe(&c.pushes.subs[kind], name)
			}
			c.confirm(word, kind, name)
		}
	case c.subscriptions(kind) == 0:
		c.confirm(word, kind, nil)
	default:
		set := &c.pushes.subs[kind]
		for x := set.First(); x != nil; x = set.First() {
			ch.registries[kind].Unsubscribe(set, x.Name())
			c.confirm(word, kind, x.Name())
		}
	}
	if was && !c.subscribed() {
		ch.clients--
	}
}

// unsubscribeAll ends all subscriptions of the client, without confirmations.
func (s *Server) unsubscribeAll(c *Client) {
	if !c.subscribed() {
		return
	}
	for kind := range c.pushes.subs {
		s.channels.registries[kind].Clear(&c.pushes.subs[kind])
	}
	s.channels.clients--
}

func subscribe(c *Client)    { c.subscribe(kindChannel) }
func psubscribe(c *Client)   { c.subscribe(kindPattern) }
func unsubscribe(c *Client)  { c.unsubscribe(kindChannel) }
func punsubscribe(c *Client) { c.unsubscribe(kindPattern) }
func sunsubscribe(c *Client) { c.unsubscribe(kindShard) }

func ssubscribe(c *Client) {
	if c.inMulti() {
		c.Error(errShardInMulti) // SUBSCRIBE and PSUBSCRIBE may, as they could of old
		return
	}
	c.subscribe(kindShard)
}

// publish sends a message to the subscribers of a channel, and unless it is a shard channel to those of patterns that
// match it. It returns the number of messages sent: a client that is subscribed twice counts twice.
func (s *Server) publish(kind channelKind, channel, text []byte) (receivers int64) {
	ch := &s.channels
	if ch.clients == 0 {
		return 0
	}
	s.relieveOutbox()
	if x := ch.registries[kind].Find(channel); x != nil {
		word := wordMessage
		if kind == kindShard {
			word = wordSMessage
		}
		m := message{words: [4][]byte{word, channel, text}, n: 3}
		for c := range x.Subscribers() {
			s.queueMessage(c, &m)
			receivers++
		}
	}
	if kind == kindShard || ch.registries[kindPattern].Len() == 0 {
		return receivers
	}
	for x := range ch.registries[kindPattern].Matching(channel) {
		m := message{words: [4][]byte{wordPMessage, x.Name(), channel, text}, n: 4}
		for c := range x.Subscribers() {
			s.queueMessage(c, &m)
			receivers++
		}
	}
	return receivers
}

func publish(c *Client)  { c.publish(kindChannel) }
func spublish(c *Client) { c.publish(kindShard) }

func (c *Client) publish(kind channelKind) {
	n := c.srv.publish(kind, c.Args[1], c.Args[2])
	c.PropagateMessage()
	c.W.Int(n)
}

// publishEvent is the observer that publishes keyspace events: __keyspace@db__:key gets the event, __keyevent@db__:event
// the key.
func (s *Server) publishEvent(_ config.NotifyFlags, event string, key []byte, db *keyspace.DB) {
	if s.channels.clients == 0 {
		return
	}
	flags := s.Config.NotifyKeyspaceEvents
	buf := append(s.outbox.event[:0], event...)
	n := len(buf)
	if flags&config.NotifyKeyspace != 0 {
		buf = append(appendEventChannel(buf, "__keyspace@", db.ID), key...)
		s.publish(kindChannel, buf[n:], buf[:n])
	}
	if flags&config.NotifyKeyevent != 0 {
		buf = append(appendEventChannel(buf[:n], "__keyevent@", db.ID), event...)
		s.publish(kindChannel, buf[n:], key)
	}
	s.outbox.event = reusable(buf)
}

func appendEventChannel(b []byte, prefix string, db int) []byte {
	b = append(b, prefix...)
	b = strconv.AppendInt(b, int64(db), 10)
	return append(b, "__:"...)
}

func pubsubChannels(c *Client)      { c.channelNames(kindChannel) }
func pubsubShardchannels(c *Client) { c.channelNames(kindShard) }
func pubsubNumsub(c *Client)        { c.subscriberCounts(kindChannel) }
func pubsubShardnumsub(c *Client)   { c.subscriberCounts(kindShard) }

// pubsubNumpat counts patterns, however many clients are subscribed to each.
func pubsubNumpat(c *Client) { c.W.Int(int64(c.srv.channels.registries[kindPattern].Len())) }

// channelNames replies with the channels that match the argument, if there is one.
func (c *Client) channelNames(kind channelKind) {
	if len(c.Args) > 3 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	n := 0
	m := c.W.BeginArray()
	for x := range c.srv.channels.registries[kind].Channels() {
		if len(c.Args) == 2 || glob.Match(c.Args[2], x.Name(), false) {
			c.W.Bulk(x.Name())
			n++
		}
	}
	c.W.EndArray(m, n)
}

// subscriberCounts replies with the numbers of subscribers of the channels that are named.
func (c *Client) subscriberCounts(kind channelKind) {
	c.W.Array(2 * len(c.Args[2:]))
	for _, name := range c.Args[2:] {
		n := 0
		if x := c.srv.channels.registries[kind].Find(name); x != nil {
			n = x.Len()
		}
		c.W.Bulk(name)
		c.W.Int(int64(n))
	}
}

func pubsubHelp(c *Client) {
	c.Help(
		"CHANNELS [<pattern>]",
		"    List the channels with subscribers, those that match <pattern> if it is given.",
		"NUMPAT",
		"    Count the patterns with subscribers.",
		"NUMSUB [<channel> ...]",
		"    Count the subscribers of channels, without those who get their messages through patterns.",
		"SHARDCHANNELS [<pattern>]",
		"    List the shard channels with subscribers, those that match <pattern> if it is given.",
		"SHARDNUMSUB [<shardchannel> ...]",
		"    Count the subscribers of shard channels.",
	)
}

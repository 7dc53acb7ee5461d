package compat

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Random streams with groups: after each command the replies of XINFO STREAM FULL are compared.

// A streamer makes random commands of streams.
type streamer struct {
	*rand.Rand
	ms int
}

func (m *streamer) pick(words ...string) string { return words[m.IntN(len(words))] }

func (m *streamer) id() string {
	return m.pick(fmt.Sprint(m.IntN(m.ms+2)), fmt.Sprintf("%d-%d", m.IntN(m.ms+2), m.IntN(3)), fmt.Sprint(m.ms), "0")
}

func (m *streamer) bound() string { return m.pick("", "(") + m.id() }

func (m *streamer) command() []string {
	key, group, consumer := m.pick("s", "t"), m.pick("g", "h"), m.pick("a", "b", "c")
	number := fmt.Sprint(m.IntN(12))
	line := ""
	switch m.IntN(18) {
	case 0, 1, 2, 3:
		m.ms += m.IntN(2)
		line = fmt.Sprintf("XADD %s %s %d-* f %d", key, m.pick("", "", "NOMKSTREAM", "MAXLEN "+number, "MAXLEN ~ "+number,
			"MINID "+m.id(), "MINID ~ "+m.id(), "MAXLEN ~ 3 LIMIT "+number), m.ms, m.IntN(1000))
		if m.IntN(4) == 0 {
			line += " other x"
		}
	case 4:
		line = fmt.Sprintf("XDEL %s %s %s", key, m.id(), m.id())
	case 5:
		line = fmt.Sprintf("XTRIM %s %s", key, m.pick("MAXLEN "+number, "MAXLEN ~ "+number, "MINID "+m.id(), "MINID ~ "+m.id()+" LIMIT 4"))
	case 6:
		line = fmt.Sprintf("XGROUP CREATE %s %s %s %s %s", key, group, m.pick("$", m.id()), m.pick("", "MKSTREAM"), m.pick("", "ENTRIESREAD "+number))
	case 7:
		line = fmt.Sprintf("XGROUP SETID %s %s %s %s", key, group, m.pick("$", m.id()), m.pick("", "ENTRIESREAD "+number))
	case 8:
		line = fmt.Sprintf("XGROUP %s", m.pick("DESTROY "+key+" "+group, "DELCONSUMER "+key+" "+group+" "+consumer,
			"CREATECONSUMER "+key+" "+group+" "+consumer))
	case 9, 10, 11:
		line = fmt.Sprintf("XREADGROUP GROUP %s %s %s %s STREAMS s t > >", group, consumer, m.pick("", "COUNT 1", "COUNT 3"), m.pick("", "", "NOACK"))
		if m.IntN(2) == 0 {
			line = fmt.Sprintf("XREADGROUP GROUP %s %s COUNT %d STREAMS %s %s", group, consumer, m.IntN(4), key, m.pick(">", m.id()))
		}
	case 12:
		line = fmt.Sprintf("XACK %s %s %s %s", key, group, m.id(), m.id())
	case 13:
		line = fmt.Sprintf("XCLAIM %s %s %s %s %s %s %s %s", key, group, consumer, m.pick("0", "100000"), m.id(), m.id(),
			m.pick("", "JUSTID", "FORCE", "RETRYCOUNT 3", "TIME 1000", "LASTID "+m.id()), m.pick("", "FORCE"))
	case 14:
		line = fmt.Sprintf("XAUTOCLAIM %s %s %s %s %s COUNT %d %s", key, group, consumer, m.pick("0", "0", "100000"), m.bound(), 1+m.IntN(4),
			m.pick("", "JUSTID"))
	case 15:
		m.ms++ // 7.0 takes IDs that are lower than the last deleted one
		line = fmt.Sprintf("XSETID %s %d %s %s", key, m.ms, m.pick("", "ENTRIESADDED "+number), m.pick("", "MAXDELETEDID "+m.id()))
	case 16:
		line = fmt.Sprintf("%s %s %s %s COUNT %s", m.pick("XRANGE", "XREVRANGE"), key, m.pick("-", "+", m.bound()), m.pick("-", "+", m.bound()), number)
	default:
		line = m.pick("XREAD COUNT 2 STREAMS s t "+m.id()+" "+m.id(), "XINFO GROUPS "+key, "XPENDING "+key+" "+group,
			"XPENDING "+key+" "+group+" - + 0", "DEL "+key, "XLEN "+key, "COPY "+key+" "+m.pick("s", "t")+" REPLACE")
	}
	return strings.Fields(line)
}

// timeless are the numbers in XINFO STREAM FULL that depend on the clock, or on the shape of Redis's tree.
func timeless(v harness.Value) harness.Value {
	kept := v.Elems[:0:0]
	for i := 0; i < len(v.Elems); i++ {
		e := v.Elems[i]
		if i+1 < len(v.Elems) && (strings.HasPrefix(e.Str, "radix") || e.Str == "active-time" || e.Str == "seen-time") {
			i++
			continue
		}
		kept = append(kept, timeless(e))
	}
	v.Elems = kept
	if len(v.Str) == 13 && v.Kind == ':' {
		v.Str = "time"
	}
	return v
}

// newer are refusals that 7.2 words otherwise than 7.0.
var newer = regexp.MustCompile(`ERR (Elements are too large|The ID specified in XADD is equal|.*max_deleted_entry_id)`)

func TestRandomStreams(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = random.Seed(t)
	}
	rounds := 30
	if *long {
		rounds = 300
	}
	p := newPair(t, "--stream-node-max-entries", "3")
	for round := range rounds {
		m := &streamer{Rand: rand.New(rand.NewPCG(seed, uint64(round))), ms: 1}
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		l, err := p.connect(2+round%2, true)
		if err != nil {
			t.Fatal(err)
		}
		var sent []string
		for range 150 {
			args := m.command()
			sent = append(sent, strings.Join(args, " "))
			var requests [][]string
			switch { // 7.0 makes a consumer only when it gets something
			case strings.HasSuffix(args[0], "CLAIM"):
				requests = append(requests, []string{"XGROUP", "CREATECONSUMER", args[1], args[2], args[3]})
			case args[0] == "XREADGROUP":
				requests = append(requests, []string{"XGROUP", "CREATECONSUMER", "s", args[2], args[3]}, []string{"XGROUP", "CREATECONSUMER", "t", args[2], args[3]})
			}
			requests = append(requests, args, []string{"XINFO", "STREAM", "s", "FULL", "COUNT", "0"}, []string{"XINFO", "STREAM", "t", "FULL", "COUNT", "0"})
			for _, request := range requests {
				var got [2]string
				for side, c := range l.conns {
					v, err := c.Do(request...)
					if err != nil {
						t.Fatal(err)
					}
					got[side] = timeless(v).String()
				}
				if got[oracle] != got[subject] && !(newer.MatchString(got[oracle]) && newer.MatchString(got[subject])) {
					t.Fatalf("-seed %d, round %d:\n%s\n%q:\nredis   %s\nferrous %s", seed, round, strings.Join(sent, "\n"), request,
						got[oracle], got[subject])
				}
			}
		}
		l.close()
	}
}

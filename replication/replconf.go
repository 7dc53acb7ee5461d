package replication

// REPLCONF has pairs of an option and a value. ACK and GETACK end the command, and the master must not reply to them. An
// unknown option is an error, which a replica only logs: so replicas may send options that older masters do not know.

import (
	"strconv"
	"strings"
)

// Reply is the reply to a command: a line that begins with + or -, without its end; "" for no reply.
type Reply string

// Replies.
const (
	replyOK     Reply = "+OK"
	errSyntax   Reply = "-ERR syntax error"
	errNoNumber Reply = "-ERR value is not an integer or out of range"
)

// maxAnnounced is the length from which an announced address is an error.
const maxAnnounced = 256

// Replconf is REPLCONF from a connection; args are the words after it.
func (n *Node) Replconf(now int64, r *Replica, args [][]byte) Reply {
	if len(args)%2 != 0 {
		return errSyntax
	}
	for i := 0; i < len(args); i += 2 {
		value := args[i+1]
		switch strings.ToLower(string(args[i])) {
		case "listening-port":
			port, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil {
				return errNoNumber
			}
			r.ListeningPort = int(port)
		case "ip-address":
			if len(value) >= maxAnnounced {
				return Reply("-ERR REPLCONF ip-address provided by replica instance is too long: " +
					strconv.Itoa(len(value)) + " bytes")
			}
			r.AnnouncedIP = printable(value)
		case "capa":
			switch strings.ToLower(string(value)) {
			case "eof":
				r.EOF = true
			case "psync2":
				r.Psync2 = true
			}
		case "version":
			r.Version = printable(value)
		case "ack":
			n.ack(now, r, args[i+1:])
			return ""
		case "getack":
			// Only a master sends GETACK, and it does so in the stream.
			return ""
		case "rdb-only":
			only, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil {
				return errNoNumber
			}
			if only != 0 && only != 1 {
				return "-ERR value is out of range, value must between 0 and 1"
			}
			r.RDBOnly = only == 1
		case "rdb-filter-only":
			if reply := r.filter(string(value)); reply != "" {
				return reply
			}
		default:
			return Reply("-ERR Unrecognized REPLCONF option: " + printable(args[i]))
		}
	}
	return replyOK
}

// ack is REPLCONF ACK offset [FACK offset].
func (n *Node) ack(now int64, r *Replica, args [][]byte) {
	offset, err := strconv.ParseInt(string(args[0]), 10, 64)
	if err != nil || offset < 0 {
		return
	}
	fack := int64(-1)
	if len(args) >= 3 && strings.EqualFold(string(args[1]), "fack") {
		if f, err := strconv.ParseInt(string(args[2]), 10, 64); err == nil {
			fack = f
		}
	}
	n.acked(now, r, offset, fack)
}

// filter is rdb-filter-only: the list names what the payload contains beside its aux fields.
func (r *Replica) filter(list string) Reply {
	r.Filtered = true
	r.WithFunctions = false
	for _, word := range strings.Fields(list) {
		if !strings.EqualFold(word, "functions") {
			return Reply("-ERR Unsupported rdb-filter-only option: " + printable([]byte(word)))
		}
		r.WithFunctions = true
	}
	return ""
}

// printable replaces bytes that would break a line of a reply or of the log.
func printable(s []byte) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, string(s))
}

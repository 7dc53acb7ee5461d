package scripting

import (
	"ferrous/commands/session"
)

// Reply writes the result of a script to a client; it implements lua.Reply.
type Reply struct{ C *session.Client }

// Status implements lua.Reply.
func (r *Reply) Status(text string) { r.C.W.Status(text) }

// Error implements lua.Reply. If the error is counted already, it only marks the command that runs the script as failed.
func (r *Reply) Error(text string, counted bool) {
	if !counted {
		r.C.Error(text)
		return
	}
	if r.C.Cmd != nil {
		r.C.Cmd.Failed++
	}
	r.C.W.Error(text)
}

// Integer implements lua.Reply.
func (r *Reply) Integer(n int64) { r.C.W.Int(n) }

// Bulk implements lua.Reply.
func (r *Reply) Bulk(s string) { r.C.W.BulkString(s) }

// Null implements lua.Reply.
func (r *Reply) Null() { r.C.W.Null() }

// Bool implements lua.Reply.
func (r *Reply) Bool(b bool) { r.C.W.Bool(b) }

// Double implements lua.Reply.
func (r *Reply) Double(f float64) { r.C.W.Double(f) }

// BigNumber implements lua.Reply.
func (r *Reply) BigNumber(s string) { r.C.W.BigNumber(s) }

// Verbatim implements lua.Reply.
func (r *Reply) Verbatim(format, s string) { r.C.W.Verbatim(format, s) }

// Array implements lua.Reply.
func (r *Reply) Array(n int) { r.C.W.Array(n) }

// Set implements lua.Reply.
func (r *Reply) Set(n int) { r.C.W.Set(n) }

// Map implements lua.Reply.
func (r *Reply) Map(n int) { r.C.W.Map(n) }

package web

import (
	"context"
	"errors"
)

// A Source is the server behind the routes. Its methods may be called from any goroutine; what they return is the caller's.
type Source interface {
	// Login returns the user of a name and password, or ErrLogin, having logged the failure. from is the peer's address.
	Login(ctx context.Context, name, password, from string) (User, error)
	// Metrics copies the figures of the server.
	Metrics(ctx context.Context, who Asker) ([]Metric, error)
	// SlowLog, Clients, Settings and Log are what the commands that Question names would tell.
	SlowLog(ctx context.Context, who Asker) ([]SlowEntry, error)
	Clients(ctx context.Context, who Asker) (ClientList, error)
	Settings(ctx context.Context, who Asker) ([]Setting, error)
	Log(ctx context.Context, who Asker) ([]Text, error)
	// Keys returns how far the scan of the keys has come. start begins one, unless one goes on. A scan ends by itself when
	// nobody has asked for some seconds.
	Keys(ctx context.Context, who Asker, start bool) (KeyReport, error)
}

// A User is what a Source knows a user by.
type User any

// An Asker is who makes a request.
type Asker struct {
	User    User   // who has logged in; nil for nobody, who stands for the default user if that needs no password
	Scraper bool   // has sent metrics-password, which is enough for Metrics
	Port    bool   // came through metrics-port
	From    string // the peer's address
}

// The errors of a Source.
var (
	ErrLogin     = errors.New("a login is needed")             // nobody may not do this, or name and password are wrong
	ErrForbidden = errors.New("the user has no right to this") // wrapped, with what it lacks
	ErrEnded     = errors.New("the session has ended")         // of a user that is no more
	ErrProtected = errors.New("protected mode: from other hosts only with a password (metrics-password, or one of the default user), " +
		"or with protected-mode no")
)

// A SlowEntry is an entry of the slow log.
type SlowEntry struct {
	ID      int64   `json:"id"`
	Unix    int64   `json:"time"`
	Seconds float64 `json:"seconds"`
	Args    []Text  `json:"args"`
	Addr    string  `json:"addr"`
	Name    Text    `json:"name"`
}

// A ClientList is the first clients of the server, as CLIENT LIST has them, and how many there are.
type ClientList struct {
	Total int    `json:"total"`
	Lines []Text `json:"lines"`
}

// A Setting is a directive whose value is not the default. The values of secret ones are not told.
type Setting struct {
	Name  string `json:"name"`
	Value Text   `json:"value"`
}

// A KeyReport is what a scan of the keys has found. Bytes are those of MEMORY USAGE.
type KeyReport struct {
	Running  bool     `json:"running"`
	Started  bool     `json:"started"` // there was a scan
	Scanned  int64    `json:"scanned"`
	Total    int64    `json:"total"`
	Cut      bool     `json:"cut"` // it ended before all keys were seen
	Keys     []BigKey `json:"keys"`
	Prefixes []Prefix `json:"prefixes"`
}

// A BigKey is one of the biggest keys.
type BigKey struct {
	DB    int    `json:"db"`
	Key   Text   `json:"key"`
	Type  string `json:"type"`
	Bytes int64  `json:"bytes"`
}

// A Prefix sums up the keys of all databases that begin alike, up to the first colon.
type Prefix struct {
	Prefix Text  `json:"prefix"`
	Keys   int64 `json:"keys"`
	Bytes  int64 `json:"bytes"`
}

package commands

import (
	"strings"
	"testing"

	"ferrous/commands/config"
)

// The crash report shows the beginning of a request but no secrets, and it is written also if a part of it cannot be formatted.
func TestCrashState(t *testing.T) {
	ts := newTestServer(t)
	ts.doLine("SET key value")
	ts.current = ts.c
	ts.c.Args = [][]byte{[]byte("GET"), []byte("key"), []byte(strings.Repeat("x", 1000))}
	ts.c.Cmd = ts.Registry.ByName["get"]
	got := ts.crashState()
	for _, want := range []string{"# Server\r\n", "CURRENT CLIENT INFO", "argc: '3'\n", `argv[0]: '"GET"'`, "is a key: a string in database 0"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, strings.Repeat("x", 200)) {
		t.Error("an argument is not cut")
	}
	ts.c.Args = [][]byte{[]byte("AUTH"), []byte("hush")}
	ts.c.Cmd = ts.Registry.ByName["auth"]
	if got := ts.crashState(); strings.Contains(got, "hush") {
		t.Error("a password is shown")
	}
	ts.c.DB = nil
	ts.c.Args = [][]byte{[]byte("GET"), []byte("key")}
	ts.c.Cmd = ts.Registry.ByName["get"]
	if got := ts.crashState(); !strings.Contains(got, "(cannot be told: ") || !strings.Contains(got, "CONFIG DEBUG OUTPUT") {
		t.Errorf("with damaged data:\n%s", got)
	}
}

func TestLogOptions(t *testing.T) {
	t.Chdir(t.TempDir()) // the directive logfile opens the file
	cfg := config.New()
	if o := LogOptions(cfg); o.Syslog != nil || o.File != "" {
		t.Errorf("by default: %+v", o)
	}
	err := cfg.LoadString("syslog-enabled yes\nsyslog-ident me\nsyslog-facility local3\nlogfile log\nloglevel debug\n")
	if err != nil {
		t.Fatal(err)
	}
	o := LogOptions(cfg)
	if o.Syslog == nil || o.Syslog.Ident != "me" || o.Syslog.Facility != "local3" || o.File != cfg.Path("log") || o.Level != 0 {
		t.Errorf("got %+v, %+v", o, o.Syslog)
	}
}

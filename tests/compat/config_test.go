package compat

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// notOfDefault are the parameters that differ between two servers by where they were started.
var notOfDefault = map[string]bool{"port": true, "tls-port": true, "dir": true, "logfile": true, "pidfile": true}

// beyondOracle are the parameters that Ferrous has and Redis 7.0 has not.
var beyondOracle = map[string]string{
	"cluster-announce-human-nodename": "7.2",
	"locale-collate":                  "7.2",
	"set-max-listpack-entries":        "7.2",
	"set-max-listpack-value":          "7.2",
	"log-format":                      "Valkey 8.1",
	"http":                            "Ferrous",
	"metrics-port":                    "Ferrous",
	"metrics-bind":                    "Ferrous",
	"metrics-password":                "Ferrous",
	"tls-auth-clients-user":           "Redis 8.6",
	"tls-auto-reload-interval":        "Valkey 9.1",
	"rdb-version":                     "Ferrous",
}

// parameters reads CONFIG GET *.
func parameters(t *testing.T, c *harness.Conn) map[string]string {
	t.Helper()
	v := c.Must("CONFIG", "GET", "*")
	m := map[string]string{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1].Str
	}
	if len(m) < 150 {
		t.Fatalf("CONFIG GET * names %d parameters", len(m))
	}
	return m
}

// sameParameters compares CONFIG GET * of both servers.
func sameParameters(t *testing.T, p *pair) [2]map[string]string {
	t.Helper()
	all := [2]map[string]string{parameters(t, p.admin[oracle]), parameters(t, p.admin[subject])}
	for name, want := range all[oracle] {
		got, there := all[subject][name]
		switch {
		case !there:
			t.Errorf("CONFIG GET * lacks %s", name)
		case got != want && !notOfDefault[name]:
			t.Errorf("%s:\n\t%s %q\n\t%s %q", name, sideNames[oracle], want, sideNames[subject], got)
		}
	}
	for name := range all[subject] {
		if _, there := all[oracle][name]; !there && beyondOracle[name] == "" {
			t.Errorf("only ferrous has %s", name)
		}
	}
	return all
}

// TestConfigDefaults compares every parameter's name and default, and has each one set to its own value: both servers take
// it, and nothing changes by it, or both refuse with the same words.
func TestConfigDefaults(t *testing.T) {
	p := newPair(t)
	all := sameParameters(t, p)
	names := make([]string, 0, len(all[subject]))
	for name := range all[subject] {
		names = append(names, name)
	}
	slices.Sort(names)
	taken := 0
	for _, name := range names {
		if name == "port" || name == "bind" {
			continue // that means to listen anew
		}
		var answers [2]string
		for side, c := range p.admin {
			if value, there := all[side][name]; there {
				v, err := c.Do("CONFIG", "SET", name, value)
				if err != nil {
					t.Fatalf("%s: CONFIG SET %s %q: %v", sideNames[side], name, value, err)
				}
				answers[side] = v.Str
			}
		}
		if _, there := all[oracle][name]; !there {
			answers[oracle] = "OK"
		}
		if answers[oracle] != answers[subject] {
			t.Errorf("CONFIG SET %s %q:\n\t%s %s\n\t%s %s", name, all[subject][name], sideNames[oracle], answers[oracle],
				sideNames[subject], answers[subject])
		}
		if answers[subject] == "OK" {
			taken++
		}
	}
	if taken < 100 {
		t.Errorf("only %d parameters can be set", taken)
	}
	for name, value := range parameters(t, p.admin[subject]) {
		if before := all[subject][name]; value != before {
			t.Errorf("%s was %q and is %q after it was set to that", name, before, value)
		}
	}
}

// packageConf is the configuration that Debian installs with redis-server. It may be readable for its user only.
const packageConf = "/etc/redis/redis.conf"

// TestPackageConf starts both servers with the configuration of Debian's package, changed only in where they listen and
// write, and compares what they make of it.
func TestPackageConf(t *testing.T) {
	conf, err := os.ReadFile(packageConf)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	if !strings.Contains(string(conf), "\nproc-title-template ") {
		t.Fatalf("%s does not look like a configuration", packageConf)
	}
	redis, err := harness.Redis()
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{}
	for side, binary := range [2]string{redis, harness.NeedFerrous(t)} {
		s := harness.StartWith(t, harness.Options{Binary: binary,
			// The file is the first argument.
			Wrap: []string{"sh", "-c", `server=$1; shift; exec "$server" ` + packageConf + ` "$@"`, "sh"},
			Args: []string{"--daemonize", "no", "--supervised", "no", "--logfile", "", "--pidfile",
				filepath.Join(t.TempDir(), "pid")}})
		p.servers[side], p.admin[side] = s, s.Dial(t)
	}
	all := sameParameters(t, p)
	if v := all[subject]["proc-title-template"]; v != "{title} {listen-addr} {server-mode}" {
		t.Errorf("proc-title-template %q", v)
	}
	p.admin[subject].Must("SET", "k", "v")
}

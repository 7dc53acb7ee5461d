package main

import (
	"fmt"
	"strconv"

	"ferrous/tests/harness"
)

// manySection measures CPU a request at pipeline 1 when many clients are active at once (-manyclients), and CPU a connection
// that is opened, asks once and is closed.
func (b *bench) manySection() error {
	most := 0
	for _, n := range b.manyClients {
		most = max(most, n)
	}
	if err := harness.RaiseOpenFiles(uint64(most) + 200); err != nil {
		return err
	}
	servers, end, err := b.both("--maxclients", strconv.Itoa(most+100))
	if err != nil {
		return err
	}
	defer end()
	usual := b.clients
	defer func() { b.clients = usual }()
	for _, n := range b.manyClients {
		fmt.Printf("\n## CPU a request, %d active clients, pipeline 1, median of %d rounds\n\n", n, b.rounds)
		b.cpuHeader()
		b.clients = n
		for _, name := range []string{"set", "get"} {
			if _, err := b.measure(servers, name, 1, b.keyspace); err != nil {
				return err
			}
		}
	}
	b.clients = usual
	fmt.Printf("\n## CPU a connection that asks once, %d at a time, median of %d rounds\n\n", usual, b.rounds)
	b.cpuHeader()
	_, err = b.measure(servers, shortLived, 1, b.keyspace)
	return err
}

// shortLived is the test whose every request has a connection of its own.
const shortLived = "get_once"

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"ferrous/replication"
)

// plans are run for each seed in turn.
var plans = []struct {
	name string
	make func(*rand.Rand) Plan
}{
	{"rough", Rough}, {"gentle", Gentle}, {"handing", Handing},
}

func planOf(seed uint64) (string, Plan) {
	p := plans[seed%uint64(len(plans))]
	return p.name, p.make(rand.New(rand.NewPCG(seed, 99)))
}

// report fails with the end of a run's story.
func report(t *testing.T, seed uint64, fault replication.Fault) {
	t.Helper()
	name, p := planOf(seed)
	p.Fault = fault
	r := Run(seed, p, true)
	lines := r.Lines
	if len(lines) > 120 && os.Getenv("FERROUS_SEED") == "" {
		lines = lines[len(lines)-120:]
	}
	t.Fatalf("seed %d (%s, %+v): %s\nFERROUS_SEED=%d replays it\n%s", seed, name, p, r.Failure, seed, strings.Join(lines, "\n"))
}

// seeds returns the seeds to run: 300, or 10,000 with FERROUS_STRESS, or those of FERROUS_SEED (7, or 100-200).
func seeds(t *testing.T) (first, last uint64) {
	s := os.Getenv("FERROUS_SEED")
	if s == "" {
		if os.Getenv("FERROUS_STRESS") != "" {
			return 1, 10_000
		}
		return 1, 300
	}
	from, to, several := strings.Cut(s, "-")
	first, err := strconv.ParseUint(from, 10, 64)
	if last = first; several && err == nil {
		last, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil {
		t.Fatal(err)
	}
	return first, last
}

// TestSimulation runs seeds.
func TestSimulation(t *testing.T) {
	first, last := seeds(t)
	var all Result
	for seed := first; seed <= last; seed++ {
		_, p := planOf(seed)
		r := Run(seed, p, false)
		if r.Failure != "" {
			report(t, seed, replication.NoFault)
		}
		all.Writes += r.Writes
		all.Partial += r.Partial
		all.Full += r.Full
		all.Handed += r.Handed
	}
	t.Logf("%d seeds: %d writes, %d partial and %d full synchronisations, %d failovers begun", last-first+1, all.Writes, all.Partial, all.Full, all.Handed)
}

// TestReplay holds that a run is a function of its seed.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		_, p := planOf(seed)
		a, b := Run(seed, p, false), Run(seed, p, true)
		if a.Trace != b.Trace {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}

// TestPlantedFaults holds that the simulator would find mistakes.
func TestPlantedFaults(t *testing.T) {
	for fault, name := range map[replication.Fault]string{
		replication.FaultOffset:          "offset off by one",
		replication.FaultSelect:          "SELECT forgotten after promotion",
		replication.FaultHalfTransaction: "half a transaction",
	} {
		t.Run(fmt.Sprint(name), func(t *testing.T) {
			for seed := uint64(1); seed <= 200; seed++ {
				_, p := planOf(seed)
				p.Fault = fault
				if r := Run(seed, p, false); r.Failure != "" {
					t.Logf("found with seed %d: %s", seed, r.Failure)
					return
				}
			}
			t.Fatal("not found within 200 seeds")
		})
	}
}

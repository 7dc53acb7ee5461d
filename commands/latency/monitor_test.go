package latency

import (
	"strings"
	"testing"
)

func TestSeriesIsBounded(t *testing.T) {
	var l Series
	for i := range int64(samplesKept + 40) {
		l.add(i, 100+i)
	}
	if len(l.Samples) != samplesKept || l.Samples[0].Unix != 40 || l.Samples[samplesKept-1].Ms != 299 || l.Worst != 299 {
		t.Errorf("%d samples from %+v, worst %d", len(l.Samples), l.Samples[0], l.Worst)
	}
	rows := strings.Split(strings.TrimSuffix(l.Graph(200), "\n"), "\n")
	// Two heads, then two blocks of rows, a blank line and labels (to "2m" and to "59s"), with an empty line between.
	if len(rows) != 2+(graphRows+1+2)+1+(graphRows+1+3) {
		t.Errorf("%d rows:\n%s", len(rows), strings.Join(rows, "\n"))
	}
}

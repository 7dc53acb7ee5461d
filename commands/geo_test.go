package commands

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/geohash"
	"ferrous/tests/random"
)

func TestGeoEffects(t *testing.T) {
	runEffects(t, newTestServer(t), []effectStep{
		// Replicas are given codes.
		{"GEOADD g 13.361389 38.115556 a", ":1\r\n", "zadd g 3479099956230698 a", "zadd g", 1},
		{"GEOADD g NX 0 0 a", ":0\r\n", "", "", 0},
		{"GEOADD g CH XX 0 0 a 1 1 x", ":1\r\n", "zadd g CH XX 3377699720527872 a 3377822707026402 x", "zadd g", 1},
		{"GEOADD g 15.087269 37.502669 b 13.361389 38.115556 a", ":1\r\n",
			"zadd g 3479447370796909 b 3479099956230698 a", "zadd g", 2},
		{"GEOADD g 200 0 a", "-ERR invalid longitude,latitude pair 200.000000,0.000000\r\n", "", "", 0},
		{"GEODIST g a b km", "$8\r\n166.2742\r\n", "", "", 0},
		{"GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 200 km", ":2\r\n",
			"GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 200 km", "geosearchstore d", 2},
		{"GEORADIUS g 15 37 100 km STORE d", ":1\r\n", "GEORADIUS g 15 37 100 km STORE d", "georadiusstore d", 1},
		{"GEORADIUSBYMEMBER g a 200 km STOREDIST d", ":2\r\n", "GEORADIUSBYMEMBER g a 200 km STOREDIST d",
			"georadiusstore d", 2},
		{"GEORADIUS g 15 37 100 km COUNT 1", "*1\r\n$1\r\nb\r\n", "", "", 0},
		{"GEOSEARCHSTORE d g FROMLONLAT 0 0 BYBOX 1 1 m", ":0\r\n", "GEOSEARCHSTORE d g FROMLONLAT 0 0 BYBOX 1 1 m", "del d", 1},
		{"GEOSEARCHSTORE d g FROMLONLAT 0 0 BYBOX 1 1 m", ":0\r\n", "", "", 0},
		{"GEOSEARCHSTORE g none FROMMEMBER a BYBOX 1 1 m", ":0\r\n", "GEOSEARCHSTORE g none FROMMEMBER a BYBOX 1 1 m",
			"keymiss none; del g", 1},
	})
}

// Searches against a look at every member, for indexes of both forms.
func TestGeoSearchModel(t *testing.T) { random.Repeat(t, testGeoSearchModel) }

func testGeoSearchModel(t *testing.T) {
	r := random.New(t)
	type place struct {
		name           string
		lon, lat, dist float64
	}
	for range 25 {
		s := newTestServer(t)
		lon0, lat0 := r.Float64()*300-150, r.Float64()*120-60
		spread := math.Exp(r.Float64()*8 - 5)
		places := make([]place, 1+r.IntN(400))
		for i := range places {
			lon := math.Mod(lon0+(r.Float64()-0.5)*spread+540, 360) - 180
			lat := min(max(lat0+(r.Float64()-0.5)*spread, -70), 70)
			name := "m" + strconv.Itoa(i)
			s.do("GEOADD", "g", strconv.FormatFloat(lon, 'f', -1, 64), strconv.FormatFloat(lat, 'f', -1, 64), name)
			// What is searched is where the code says that the member is.
			lon, lat = geohash.Position(float64(geohash.Score(lon, lat)))
			places[i] = place{name, lon, lat, 0}
		}
		checkBytes(t, s, "GEOADD")
		centre := places[r.IntN(len(places))]
		size := min(spread*50_000*math.Exp(2*r.Float64()-1), 2_000_000)
		var want []place
		for _, p := range places {
			if p.dist = geohash.Distance(centre.lon, centre.lat, p.lon, p.lat); p.dist <= size {
				want = append(want, p)
			}
		}
		slices.SortStableFunc(want, func(a, b place) int {
			switch {
			case a.dist < b.dist:
				return -1
			case a.dist > b.dist:
				return 1
			}
			return strings.Compare(a.name, b.name)
		})
		if n := r.IntN(len(want)*2 + 1); n > 0 && n < len(want) && want[n-1].dist != want[n].dist {
			want = want[:n]
		}
		got := s.do("GEOSEARCH", "g", "FROMMEMBER", centre.name, "BYRADIUS", strconv.FormatFloat(size, 'f', -1, 64), "m",
			"ASC", "COUNT", strconv.Itoa(len(want)), "WITHDIST")
		lines := strings.Split(got, "\r\n")
		var names []string
		last := -1.0
		for i := 1; i+5 <= len(lines); i += 5 {
			names = append(names, lines[i+2])
			d, err := strconv.ParseFloat(lines[i+4], 64)
			if err != nil || d < last {
				t.Fatalf("distance %q behind %v in %q", lines[i+4], last, got)
			}
			last = d
		}
		var wanted []string
		for _, p := range want {
			wanted = append(wanted, p.name)
		}
		slices.Sort(names)
		slices.Sort(wanted)
		if !slices.Equal(names, wanted) {
			t.Fatalf("%v around %+v: %v, want %v", size, centre, names, wanted)
		}
		stored := s.do("GEOSEARCHSTORE", "d", "g", "FROMMEMBER", centre.name, "BYRADIUS", strconv.FormatFloat(size, 'f', -1, 64), "m",
			"STOREDIST", "COUNT", strconv.Itoa(len(want)))
		if stored != fmt.Sprintf(":%d\r\n", len(want)) {
			t.Fatalf("stored %q, want %d", stored, len(want))
		}
		checkBytes(t, s, "GEOSEARCHSTORE")
	}
}

// Reading one member allocates nothing.
func TestGeoAllocations(t *testing.T) {
	s := newTestServer(t)
	s.do("GEOADD", "g", "13.361389", "38.115556", "a", "15.087269", "37.502669", "b")
	wantNoAllocations(t, s, "GEODIST g a b", "GEOPOS g a b", "GEOHASH g a b")
}

func BenchmarkGeoSearch(b *testing.B) {
	s := newTestServer(b)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		s.do("GEOADD", "g", strconv.FormatFloat(r.Float64()*10, 'f', 6, 64), strconv.FormatFloat(40+r.Float64()*10, 'f', 6, 64),
			"m"+strconv.Itoa(i))
	}
	for _, line := range []string{"GEOSEARCH g FROMLONLAT 5 45 BYRADIUS 5 km", "GEOSEARCH g FROMLONLAT 5 45 BYRADIUS 100 km COUNT 10",
		"GEOSEARCH g FROMLONLAT 5 45 BYBOX 200 200 km ASC WITHDIST"} {
		b.Run(strings.ReplaceAll(line[10:], " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.doLine(line)
			}
		})
	}
}

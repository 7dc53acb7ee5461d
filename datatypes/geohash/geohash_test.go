package geohash

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ferrous/tests/random"
)

func newRand(t testing.TB) *rand.Rand {
	return random.New(t)
}

func randomPosition(r *rand.Rand) (lon, lat float64) {
	return MinLon + r.Float64()*(MaxLon-MinLon), MinLat + r.Float64()*(MaxLat-MinLat)
}

// What Redis 7.2.6 answered to GEOADD, ZSCORE, GEOPOS and GEOHASH of these positions.
func TestKnownCodes(t *testing.T) {
	for _, c := range []struct {
		lon, lat   float64
		score      uint64
		text       string
		cLon, cLat float64
	}{
		{13.361389, 38.115556, 3479099956230698, "sqc8b49rny0", 13.36138933897018433, 38.11555639549629859},
		{15.087269, 37.502669, 3479447370796909, "sqdtr74hyu0", 15.08726745843887329, 37.50266842333162032},
		{0, 0, 3377699720527872, "s0000000000", 0.00000268220901489, 0.00000126736058093},
		{-180, -85.05112878, 0, "00bh0hbj200", -179.99999731779098511, -85.05112751263942528},
		{180, 85.05112878, 3 << 52, "bp05b5048p0", 180, 85.0511287799999991},
	} {
		if got := Score(c.lon, c.lat); got != c.score {
			t.Errorf("Score(%v, %v) = %d, want %d", c.lon, c.lat, got, c.score)
		}
		lon, lat := Position(float64(c.score))
		if math.Abs(lon-c.cLon) > 5e-18 || math.Abs(lat-c.cLat) > 5e-18 {
			t.Errorf("Position(%d) = %v, %v, want %v, %v", c.score, lon, lat, c.cLon, c.cLat)
		}
		if got := string(AppendText(nil, lon, lat)); got != c.text {
			t.Errorf("text of %v, %v: %s, want %s", lon, lat, got, c.text)
		}
	}
}

func TestInterleave(t *testing.T) { random.Repeat(t, testInterleave) }

func testInterleave(t *testing.T) {
	r := newRand(t)
	for range 2000 {
		y, x := r.Uint32(), r.Uint32()
		want := uint64(0)
		for i := range 32 {
			want |= uint64(y>>i&1)<<(2*i) | uint64(x>>i&1)<<(2*i+1)
		}
		if got := interleave(y, x); got != want {
			t.Fatalf("interleave(%#x, %#x) = %#x, want %#x", y, x, got, want)
		}
		if gy, gx := deinterleave(want); gy != y || gx != x {
			t.Fatalf("deinterleave(%#x) = %#x, %#x", want, gy, gx)
		}
	}
}

// A code against halving the world step by step.
func TestEncodeModel(t *testing.T) { random.Repeat(t, testEncodeModel) }

func testEncodeModel(t *testing.T) {
	r := newRand(t)
	for range 3000 {
		lon, lat := randomPosition(r)
		step := uint8(1 + r.IntN(MaxStep))
		lons, lats := bounds{MinLon, MaxLon}, bounds{MinLat, MaxLat}
		want := uint64(0)
		halve := func(v float64, b *bounds) {
			mid := (b.min + b.max) / 2
			want <<= 1
			if v >= mid {
				want, b.min = want|1, mid
			} else {
				b.max = mid
			}
		}
		for range step {
			halve(lon, &lons)
			halve(lat, &lats)
		}
		c := Encode(lon, lat, step)
		if c.Bits != want || c.Step != step {
			t.Fatalf("Encode(%v, %v, %d) = %#x, want %#x", lon, lat, step, c.Bits, want)
		}
		a := c.Area()
		const eps = 1e-9
		if math.Abs(a.MinLon-lons.min) > eps || math.Abs(a.MaxLon-lons.max) > eps ||
			math.Abs(a.MinLat-lats.min) > eps || math.Abs(a.MaxLat-lats.max) > eps {
			t.Fatalf("area of %#x step %d: %+v, want %v %v", c.Bits, step, a, lons, lats)
		}
		first, end := c.Scores()
		if s := float64(Score(lon, lat)); s < first || s >= end {
			t.Fatalf("score %v of %v, %v is outside its cell's %v to %v", s, lon, lat, first, end)
		}
	}
}

func TestNeighboursModel(t *testing.T) { random.Repeat(t, testNeighboursModel) }

func testNeighboursModel(t *testing.T) {
	r := newRand(t)
	for range 3000 {
		step := uint8(1 + r.IntN(MaxStep))
		side := uint32(1) << step
		y, x := r.Uint32()%side, r.Uint32()%side
		for dx := -1; dx <= 1; dx++ {
			for dy := -1; dy <= 1; dy++ {
				got := Code{interleave(y, x), step}.neighbour(dx, dy)
				want := interleave((y+uint32(dy))%side, (x+uint32(dx))%side)
				if got.Bits != want || got.Step != step {
					t.Fatalf("step %d x %d y %d: neighbour(%d, %d) = %#x, want %#x", step, x, y, dx, dy, got.Bits, want)
				}
			}
		}
	}
}

// Nothing that lies in a shape is missed by its cells, and no cell comes twice: brute force over random members.
func TestCellsCover(t *testing.T) { random.Repeat(t, testCellsCover) }

func testCellsCover(t *testing.T) {
	r := newRand(t)
	for range 300 {
		s := Shape{}
		s.Lon, s.Lat = MinLon+20+r.Float64()*(MaxLon-MinLon-40), -60+120*r.Float64()
		size := math.Exp(r.Float64()*13.8) + 1 // to some 1000 km
		if s.Box = r.IntN(2) == 0; s.Box {
			s.Width, s.Height = size*(0.2+r.Float64()), size*(0.2+r.Float64())
		} else {
			s.Radius = size
		}
		cells := s.Cells(nil)
		for i, c := range cells {
			if slices.Contains(cells[:i], c) {
				t.Fatalf("%+v: cell %v twice in %v", s, c, cells)
			}
		}
		probe := s.Probe()
		spread := degrees(size / earthRadius * 3)
		for range 300 {
			lon := min(max(s.Lon+(r.Float64()-0.5)*spread/math.Cos(radians(s.Lat)), MinLon), MaxLon)
			lat := min(max(s.Lat+(r.Float64()-0.5)*spread, MinLat), MaxLat)
			score := float64(Score(lon, lat))
			pLon, pLat, dist, ok := probe.Test(score)
			want := inShape(&s, pLon, pLat)
			if ok != want {
				t.Fatalf("%+v: Test of %v, %v: %v", s, pLon, pLat, ok)
			}
			if !ok {
				continue
			}
			if d := Distance(s.Lon, s.Lat, pLon, pLat); d != dist {
				t.Fatalf("%+v: %v, %v is %v away, want %v", s, pLon, pLat, dist, d)
			}
			found := false
			for _, c := range cells {
				first, end := c.Scores()
				found = found || score >= first && score < end
			}
			if !found {
				t.Fatalf("%+v: no cell of %v has %v, %v", s, cells, pLon, pLat)
			}
		}
	}
}

// inShape is Probe.Test by the definitions.
func inShape(s *Shape, lon, lat float64) bool {
	if s.Box {
		return latDistance(radians(lat), radians(s.Lat)) <= s.Height/2 && Distance(lon, lat, s.Lon, lat) <= s.Width/2
	}
	return Distance(s.Lon, s.Lat, lon, lat) <= s.Radius
}

// Shapes as large as the Earth or larger, or that are not numbers in the end, still get cells.
func TestCellsOfExtremeShapes(t *testing.T) {
	for _, m := range []float64{0, 1e-300, 1, 1e7, 2e7, 5e7, 1e300, math.Inf(1)} {
		for _, lon := range []float64{MinLon, 0, MaxLon} {
			for _, lat := range []float64{MinLat, -70, 0, 85, MaxLat} {
				for _, s := range []Shape{{Lon: lon, Lat: lat, Radius: m}, {Lon: lon, Lat: lat, Box: true, Width: m, Height: m}} {
					cells := s.Cells(nil)
					if len(cells) == 0 || len(cells) > MaxCells {
						t.Fatalf("%+v: %d cells", s, len(cells))
					}
					for i, c := range cells {
						if slices.Contains(cells[:i], c) {
							t.Fatalf("%+v: cell %v twice in %v", s, c, cells)
						}
					}
					if m > 4e7 && (len(cells) != 4 && lon < MaxLon && lat < MaxLat) {
						t.Errorf("%+v: cells %v, want all four of step 1", s, cells)
					}
				}
			}
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, v := range []float64{0, -1, 0.5, 1 << 52, 1<<53 - 1, 1 << 54, 1 << 63, 1e19, -1e19, 1e300, math.Inf(1), math.Inf(-1), 3479099956230698} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, score float64) {
		lon, lat := Position(score)
		if !Valid(lon, lat) {
			t.Fatalf("Position(%v) = %v, %v", score, lon, lat)
		}
		if score >= 0 && score < 1<<(2*MaxStep) {
			if got := Score(lon, lat); got != uint64(score) {
				t.Fatalf("the centre of %v is coded as %v", score, got)
			}
		}
		if n := len(AppendText(nil, lon, lat)); n != TextLen {
			t.Fatalf("text of %d letters", n)
		}
	})
}

func FuzzCells(f *testing.F) {
	f.Add(15.0, 37.0, 200e3, 0.0)
	f.Add(180.0, 85.05112878, 1e9, 1.0)
	f.Fuzz(func(t *testing.T, lon, lat, size, box float64) {
		if !Valid(lon, lat) || !(size >= 0) || !(box >= 0) {
			return
		}
		s := Shape{Lon: lon, Lat: lat, Radius: size}
		if box > 0 {
			s = Shape{Lon: lon, Lat: lat, Box: true, Width: size, Height: box}
		}
		cells := s.Cells(nil)
		if len(cells) == 0 || len(cells) > MaxCells {
			t.Fatalf("%d cells", len(cells))
		}
		// The centre is always found.
		score := float64(Score(lon, lat))
		found := false
		for _, c := range cells {
			first, end := c.Scores()
			found = found || first < end && score >= first && score < end
		}
		if !found {
			t.Fatalf("%+v: centre %v in no cell of %v", s, score, cells)
		}
	})
}

func BenchmarkTest(b *testing.B) {
	s := Shape{Lon: 15, Lat: 37, Radius: 200e3}
	p := s.Probe()
	r := rand.New(rand.NewPCG(1, 2))
	scores := make([]float64, 1024)
	for i := range scores {
		scores[i] = float64(Score(15+(r.Float64()-.5)*6, 37+(r.Float64()-.5)*6))
	}
	n := 0
	for i := 0; b.Loop(); i++ {
		if _, _, _, ok := p.Test(scores[i&1023]); ok {
			n++
		}
	}
}

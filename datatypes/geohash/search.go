package geohash

import "math"

// Searching a sorted set of codes.
//
// A search visits nine cells: the one with the centre of the shape and its eight neighbours. Their step is the highest at
// which these nine are sure to cover the shape: cells about as large as its radius, larger ones towards the poles, where
// cells are narrower in metres. Neighbours that the shape does not reach are skipped. Each cell is a range of scores; its
// members are tested one by one, since the cells cover more than the shape.
//
// The step and the order of the cells are Redis's (src/geohash_helper.c of 7.2): the order of unsorted replies depends on
// them, and with COUNT … ANY also the members.

// Shape is the searched area, in degrees and metres: a circle, or a box whose sides are along meridians and parallels.
type Shape struct {
	Lon, Lat      float64 // of the centre
	Radius        float64 // of a circle
	Box           bool
	Width, Height float64 // of a box
}

// extent returns the least area of degrees around the shape. Its ends may be beyond all valid positions, or NaN if the
// shape goes around the Earth.
func (s *Shape) extent() Area {
	height, width := s.Radius, s.Radius
	if s.Box {
		height, width = s.Height/2, s.Width/2
	}
	dLat := degrees(height / earthRadius)
	// The side nearer to a pole decides: it has the most degrees.
	side := s.Lat + dLat
	if s.Lat < 0 {
		side = s.Lat - dLat
	}
	dLon := degrees(width / earthRadius / math.Cos(radians(side)))
	return Area{s.Lon - dLon, s.Lon + dLon, s.Lat - dLat, s.Lat + dLat}
}

// reach returns the distance from the centre to the farthest point.
func (s *Shape) reach() float64 {
	if s.Box {
		w, h := s.Width/2, s.Height/2
		return math.Sqrt(float64(w*w) + float64(h*h))
	}
	return s.Radius
}

// stepFor estimates the step whose nine cells cover a circle of this radius at a latitude.
func stepFor(metres, lat float64) uint8 {
	const mercator = 20037726.37 // half of the equator on the map
	if metres == 0 {
		return MaxStep
	}
	step := -1
	for ; metres < mercator; metres *= 2 {
		step++
	}
	if lat = math.Abs(lat); lat > 66 {
		step--
		if lat > 80 {
			step--
		}
	}
	return uint8(min(max(step, 1), MaxStep))
}

// The nine cells, in the order in which they are searched.
const (
	centre = iota
	north
	south
	east
	west
	northEast
	northWest
	southEast
	southWest
	cellCount
)

func around(c Code) [cellCount]Code {
	return [cellCount]Code{c, c.neighbour(0, 1), c.neighbour(0, -1), c.neighbour(1, 0), c.neighbour(-1, 0),
		c.neighbour(1, 1), c.neighbour(-1, 1), c.neighbour(1, -1), c.neighbour(-1, -1)}
}

// MaxCells is the most cells that Cells appends.
const MaxCells = cellCount

// Cells appends the cells that cover the shape, in the order in which they are to be searched.
func (s *Shape) Cells(dst []Code) []Code {
	ext := s.extent()
	step := stepFor(s.reach(), s.Lat)
	cells := around(Encode(s.Lon, s.Lat, step))
	// Near the edge of its cell a shape may reach beyond the neighbours.
	if step > 1 && (cells[north].Area().MaxLat < ext.MaxLat || cells[south].Area().MinLat > ext.MinLat ||
		cells[east].Area().MaxLon < ext.MaxLon || cells[west].Area().MinLon > ext.MinLon) {
		step--
		cells = around(Encode(s.Lon, s.Lat, step))
	}
	if step >= 2 {
		drop := func(which ...int) {
			for _, i := range which {
				cells[i] = Code{}
			}
		}
		own := cells[centre].Area()
		if own.MinLat < ext.MinLat {
			drop(south, southWest, southEast)
		}
		if own.MaxLat > ext.MaxLat {
			drop(north, northEast, northWest)
		}
		if own.MinLon < ext.MinLon {
			drop(west, southWest, northWest)
		}
		if own.MaxLon > ext.MaxLon {
			drop(east, southEast, northEast)
		}
	}
	// With a step of 1 the grid has two cells a side, so that a cell's both neighbours are the same one. The two are
	// consecutive here, so comparing with the last is enough; the centre is never a neighbour of itself.
	last := Code{}
	for i, c := range cells {
		if c == (Code{}) || c == last {
			continue
		}
		dst = append(dst, c)
		if i > 0 {
			last = c
		}
	}
	return dst
}

// A Probe tests whether positions are in a shape.
//
// Most of the tested positions are not. Test rejects them by their latitude, or by the haversine of their distance, which is
// greater exactly if the distance is, so that it needs no arcsine. Only for the others it computes the distance itself, as
// Redis does for all.
type Probe struct {
	shape    Shape
	lon, lat float64 // the centre in radians
	cosLat   float64
	far      float64 // a difference of latitude that is outside a circle, in metres
	farHav   float64 // a haversine that is outside a circle, or beyond the half width of a box
}

// clearly is the factor above the limit at which a position is rejected without its distance: far more than rounding errors.
const clearly = 1 + 1e-9

// Probe returns a Probe for the shape, whose centre must be valid.
func (s *Shape) Probe() Probe {
	p := Probe{shape: *s, lon: radians(s.Lon), lat: radians(s.Lat)}
	p.cosLat = cos(p.lat)
	p.far = s.Radius * clearly
	limit := s.Radius
	if s.Box {
		limit = s.Width / 2
	}
	p.farHav = math.Inf(1)
	if half := limit / (2 * earthRadius); half < math.Pi/2 {
		p.farHav = math.Pow(math.Sin(half), 2) * clearly
	}
	return p
}

// Test decodes a score and returns its position in degrees and its distance from the centre in metres, and whether it is in
// the shape. If not, the other results have no meaning.
func (p *Probe) Test(score float64) (lon, lat, dist float64, ok bool) {
	lon, lat = Position(score)
	lonR, latR := radians(lon), radians(lat)
	dLat := latDistance(latR, p.lat)
	if p.shape.Box && dLat > p.shape.Height/2 || !p.shape.Box && dLat > p.far {
		return lon, lat, 0, false
	}
	v := sin((lonR - p.lon) / 2)
	if v == 0 {
		return lon, lat, dLat, p.shape.Box || dLat <= p.shape.Radius
	}
	c := cos(latR)
	u := sin((latR - p.lat) / 2)
	if p.shape.Box {
		// The width is measured along the parallel of the position, not of the centre.
		if h := hav(v, 0, c*c); h > p.farHav || havDistance(h) > p.shape.Width/2 {
			return lon, lat, 0, false
		}
		return lon, lat, havDistance(hav(v, u, p.cosLat*c)), true
	}
	h := hav(v, u, p.cosLat*c)
	if h > p.farHav {
		return lon, lat, 0, false
	}
	dist = havDistance(h)
	return lon, lat, dist, !(dist > p.shape.Radius)
}

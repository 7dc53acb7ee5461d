package commands

import (
	"math"
	"strconv"

	"ferrous/datatypes/geohash"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// The geo commands but for the searches (geo_search.go). A geo index is a sorted set whose scores are the codes of
// package geohash; any sorted set may be read as one.
var geoCommands = []Command{
	{Name: "geoadd", Arity: -5, Flags: Write | DenyOOM, ACL: CatGeo, Handler: geoadd,
		Group: GroupGeo, Since: "3.2.0",
		Complexity: "O(log(N)) for each member added, with N the number of members of the index.",
		Summary:    "Adds members with their positions to a geo index, which is created if it does not exist.",
		History:    []Change{{"6.2.0", "The options `CH`, `NX` and `XX`."}},
		Keys:       oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"), aChoice("condition", aToken("nx", "NX", ""), aToken("xx", "XX", "")).optional().since("6.2.0"),
			aToken("change", "CH", "6.2.0").optional(),
			aBlock("data", aDouble("longitude"), aDouble("latitude"), aString("member")).multiple()}},
	{Name: "geodist", Arity: -4, Flags: ReadOnly, ACL: CatGeo, Handler: geodist,
		Group: GroupGeo, Since: "3.2.0", Complexity: "O(1)",
		Summary: "Returns the distance between two members of a geo index.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key"), aString("member1"), aString("member2"), geoUnitArg.optional()}},
	{Name: "geohash", Arity: -2, Flags: ReadOnly, ACL: CatGeo, Handler: geohashCommand,
		Group: GroupGeo, Since: "3.2.0", Complexity: "O(1) for each member asked for.",
		Summary: "Returns the geohashes of members of a geo index.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key"), aString("member").optional().multiple()}},
	{Name: "geopos", Arity: -2, Flags: ReadOnly, ACL: CatGeo, Handler: geopos,
		Group: GroupGeo, Since: "3.2.0", Complexity: "O(1) for each member asked for.",
		Summary: "Returns the positions of members of a geo index.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key"), aString("member").optional().multiple()}},
	georadiusRow, georadiusRORow, georadiusbymemberRow, georadiusbymemberRORow, geosearchRow, geosearchstoreRow,
}

var geoUnitArg = aChoice("unit", aToken("m", "M", ""), aToken("km", "KM", ""), aToken("ft", "FT", ""),
	aToken("mi", "MI", ""))

const errGeoUnit = "ERR unsupported unit provided. please use M, KM, FT, MI"

// errGeoPosition is the refusal of a position that cannot be stored.
func errGeoPosition(lon, lat float64) string {
	b := append([]byte("ERR invalid longitude,latitude pair "), sixDecimals(lon)...)
	return string(append(append(b, ','), sixDecimals(lat)...))
}

// sixDecimals is C's %f.
func sixDecimals(f float64) string {
	if math.IsInf(f, 0) {
		return string(resp.FormatDouble(nil, f))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// positionArg parses arguments i and i+1 as a longitude and a latitude. On failure it has replied.
func (c *Client) positionArg(i int) (lon, lat float64, ok bool) {
	lon, ok = resp.ParseFloat(c.args[i])
	if ok {
		lat, ok = resp.ParseFloat(c.args[i+1])
	}
	if !ok {
		c.error(errNotFloat)
		return 0, 0, false
	}
	if !geohash.Valid(lon, lat) {
		c.error(errGeoPosition(lon, lat))
		return 0, 0, false
	}
	return lon, lat, true
}

// lengthUnit parses argument i as a unit and returns its length in metres. On failure it has replied.
func (c *Client) lengthUnit(i int) (metres float64, ok bool) {
	switch {
	case c.is(i, "m"):
		return 1, true
	case c.is(i, "km"):
		return 1000, true
	case c.is(i, "ft"):
		return 0.3048, true
	case c.is(i, "mi"):
		return 1609.34, true
	}
	c.error(errGeoUnit)
	return 0, false
}

// distance replies with a distance, to four decimals.
func (c *Client) distance(d float64) {
	var buf [32]byte
	c.w.Bulk(appendFourDecimals(buf[:0], d))
}

// appendFourDecimals appends d as Redis rounds it: in units of the last place, to even; what these units cannot hold is
// the lowest integer.
func appendFourDecimals(dst []byte, d float64) []byte {
	units := math.RoundToEven(d * 10000)
	n := int64(math.MinInt64)
	if math.Abs(units) < 1<<63 {
		n = int64(units)
	}
	u := uint64(n)
	if n < 0 {
		dst, u = append(dst, '-'), -u
	}
	dst = append(resp.AppendUint(dst, u/10000), '.')
	return append(dst, byte('0'+u/1000%10), byte('0'+u/100%10), byte('0'+u/10%10), byte('0'+u%10))
}

// position replies with a longitude and a latitude, to 17 decimals less the zeros at their end.
func (c *Client) position(lon, lat float64) {
	c.w.Array(2)
	c.coordinate(lon)
	c.coordinate(lat)
}

func (c *Client) coordinate(f float64) {
	var buf [32]byte
	b := strconv.AppendFloat(buf[:0], f, 'f', 17, 64)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	if string(b) == "-0" {
		b = b[1:]
	}
	c.w.DoubleText(b)
}

// geoScore returns the score of a member of s, which may be nil.
func geoScore(s *sortedset.SortedSet, member []byte) (float64, bool) {
	if s == nil {
		return 0, false
	}
	return s.Score(member)
}

func geoadd(c *Client) {
	var how sortedset.How
	ch := false
	i := 2
options:
	for ; i < len(c.args); i++ {
		switch {
		case c.is(i, "nx"):
			how |= sortedset.NX
		case c.is(i, "xx"):
			how |= sortedset.XX
		case c.is(i, "ch"):
			ch = true
		default:
			break options
		}
	}
	places := c.args[i:]
	if len(places) == 0 || len(places)%3 != 0 || how == sortedset.NX|sortedset.XX {
		c.error(errSyntax)
		return
	}
	var few [8]float64
	scores := few[:0]
	for j := 0; j < len(places); j += 3 {
		lon, lat, ok := c.positionArg(i + j)
		if !ok {
			return
		}
		scores = append(scores, float64(geohash.Score(lon, lat)))
	}
	dirty := c.srv.dirty
	c.addScores(scores, places[2:], 3, how, ch)
	if c.srv.dirty != dirty && len(c.srv.sinks) > 0 {
		// Replicas and the file get the codes.
		argv := append([][]byte{zaddWord}, c.args[1:i]...)
		for j, score := range scores {
			argv = append(argv, resp.AppendUint(nil, uint64(score)), places[3*j+2])
		}
		c.rewrite(argv...)
	}
}

var zaddWord = []byte("zadd")

func geodist(c *Client) {
	unit := 1.0
	if len(c.args) > 5 {
		c.error(errSyntax)
		return
	}
	if len(c.args) == 5 {
		var ok bool
		if unit, ok = c.lengthUnit(4); !ok {
			return
		}
	}
	s, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	a, okA := geoScore(s, c.args[2])
	b, okB := geoScore(s, c.args[3])
	if !okA || !okB {
		c.w.Null()
		return
	}
	lonA, latA := geohash.Position(a)
	lonB, latB := geohash.Position(b)
	c.distance(geohash.Distance(lonA, latA, lonB, latB) / unit)
}

func geohashCommand(c *Client) {
	s, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	c.w.Array(len(c.args) - 2)
	for _, m := range c.args[2:] {
		score, ok := geoScore(s, m)
		if !ok {
			c.w.Null()
			continue
		}
		lon, lat := geohash.Position(score)
		var buf [geohash.TextLen]byte
		c.w.Bulk(geohash.AppendText(buf[:0], lon, lat))
	}
}

func geopos(c *Client) {
	s, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	c.w.Array(len(c.args) - 2)
	for _, m := range c.args[2:] {
		score, ok := geoScore(s, m)
		if !ok {
			c.w.NullArray()
			continue
		}
		c.position(geohash.Position(score))
	}
}

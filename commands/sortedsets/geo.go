package sortedsets

import (
	"math"
	"strconv"

	"ferrous/commands/session"
	"ferrous/datatypes/geohash"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// The geo commands, without the searches (geosearch.go). A geo index is a sorted set whose scores are the codes of package
// geohash; any sorted set may be read as one.
var geoCommands = []session.Command{
	{Name: "geoadd", Arity: -5, Flags: session.Write | session.DenyOOM, ACL: session.CatGeo, Handler: geoadd,
		Group: session.GroupGeo, Since: "3.2.0",
		Complexity: "O(log(N)) for each member added, with N the number of members of the index.",
		Summary:    "Adds members with their positions to a geo index, which is created if it does not exist.",
		History:    []session.Change{{"6.2.0", "The options `CH`, `NX` and `XX`."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), session.OneOf("condition", session.TokenWord("nx", "NX", ""), session.TokenWord("xx", "XX", "")).Opt().From("6.2.0"),
			session.TokenWord("change", "CH", "6.2.0").Opt(),
			session.BlockOf("data", session.DoubleArg("longitude"), session.DoubleArg("latitude"), session.StringArg("member")).Many()}},
	{Name: "geodist", Arity: -4, Flags: session.ReadOnly, ACL: session.CatGeo, Handler: geodist,
		Group: session.GroupGeo, Since: "3.2.0", Complexity: "O(1)",
		Summary: "Returns the distance between two members of a geo index.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("member1"), session.StringArg("member2"), geoUnitArg.Opt()}},
	{Name: "geohash", Arity: -2, Flags: session.ReadOnly, ACL: session.CatGeo, Handler: geohashCommand,
		Group: session.GroupGeo, Since: "3.2.0", Complexity: "O(1) for each member asked for.",
		Summary: "Returns the geohashes of members of a geo index.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("member").Opt().Many()}},
	{Name: "geopos", Arity: -2, Flags: session.ReadOnly, ACL: session.CatGeo, Handler: geopos,
		Group: session.GroupGeo, Since: "3.2.0", Complexity: "O(1) for each member asked for.",
		Summary: "Returns the positions of members of a geo index.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("member").Opt().Many()}},
	georadiusRow, georadiusRORow, georadiusbymemberRow, georadiusbymemberRORow, geosearchRow, geosearchstoreRow,
}

var geoUnitArg = session.OneOf("unit", session.TokenWord("m", "M", ""), session.TokenWord("km", "KM", ""), session.TokenWord("ft", "FT", ""),
	session.TokenWord("mi", "MI", ""))

const errGeoUnit = "ERR unsupported unit provided. please use M, KM, FT, MI"

// errGeoPosition is the error for a position that cannot be stored.
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
func positionArg(c *session.Client, i int) (lon, lat float64, ok bool) {
	lon, ok = resp.ParseFloat(c.Args[i])
	if ok {
		lat, ok = resp.ParseFloat(c.Args[i+1])
	}
	if !ok {
		c.Error(session.ErrNotFloat)
		return 0, 0, false
	}
	if !geohash.Valid(lon, lat) {
		c.Error(errGeoPosition(lon, lat))
		return 0, 0, false
	}
	return lon, lat, true
}

// lengthUnit parses argument i as a unit and returns its length in metres. On failure it has replied.
func lengthUnit(c *session.Client, i int) (metres float64, ok bool) {
	switch {
	case c.Is(i, "m"):
		return 1, true
	case c.Is(i, "km"):
		return 1000, true
	case c.Is(i, "ft"):
		return 0.3048, true
	case c.Is(i, "mi"):
		return 1609.34, true
	}
	c.Error(errGeoUnit)
	return 0, false
}

// distance replies with a distance, to four decimals.
func distance(c *session.Client, d float64) {
	var buf [32]byte
	c.W.Bulk(appendFourDecimals(buf[:0], d))
}

// appendFourDecimals appends d rounded to four decimals as in Redis: half to even, and if the number of ten-thousandths
// overflows it becomes the lowest integer.
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

// position replies with a longitude and a latitude, to 17 decimals without trailing zeros.
func position(c *session.Client, lon, lat float64) {
	c.W.Array(2)
	coordinate(c, lon)
	coordinate(c, lat)
}

func coordinate(c *session.Client, f float64) {
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
	c.W.DoubleText(b)
}

// geoScore returns the score of a member of s, which may be nil.
func geoScore(s *sortedset.SortedSet, member []byte) (float64, bool) {
	if s == nil {
		return 0, false
	}
	return s.Score(member)
}

func geoadd(c *session.Client) {
	how, ch, i := addOptions(c, 0)
	places := c.Args[i:]
	if len(places) == 0 || len(places)%3 != 0 || how == sortedset.NX|sortedset.XX {
		c.Error(session.ErrSyntax)
		return
	}
	var few [8]float64
	scores := few[:0]
	for j := 0; j < len(places); j += 3 {
		lon, lat, ok := positionArg(c, i+j)
		if !ok {
			return
		}
		scores = append(scores, float64(geohash.Score(lon, lat)))
	}
	dirty := c.Core.Dirty
	addScores(c, scores, places[2:], 3, how, ch)
	if c.Core.Dirty != dirty && len(c.Core.Sinks) > 0 {
		// Propagate the codes.
		argv := append([][]byte{zaddWord}, c.Args[1:i]...)
		for j, score := range scores {
			argv = append(argv, resp.AppendUint(nil, uint64(score)), places[3*j+2])
		}
		c.Rewrite(argv...)
	}
}

var zaddWord = []byte("zadd")

func geodist(c *session.Client) {
	unit := 1.0
	if len(c.Args) > 5 {
		c.Error(session.ErrSyntax)
		return
	}
	if len(c.Args) == 5 {
		var ok bool
		if unit, ok = lengthUnit(c, 4); !ok {
			return
		}
	}
	s, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	a, okA := geoScore(s, c.Args[2])
	b, okB := geoScore(s, c.Args[3])
	if !okA || !okB {
		c.W.Null()
		return
	}
	lonA, latA := geohash.Position(a)
	lonB, latB := geohash.Position(b)
	distance(c, geohash.Distance(lonA, latA, lonB, latB)/unit)
}

func geohashCommand(c *session.Client) {
	s, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		score, ok := geoScore(s, m)
		if !ok {
			c.W.Null()
			continue
		}
		lon, lat := geohash.Position(score)
		var buf [geohash.TextLen]byte
		c.W.Bulk(geohash.AppendText(buf[:0], lon, lat))
	}
}

func geopos(c *session.Client) {
	s, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		score, ok := geoScore(s, m)
		if !ok {
			c.W.NullArray()
			continue
		}
		lon, lat := geohash.Position(score)
		position(c, lon, lat)
	}
}

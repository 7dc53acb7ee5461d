package commands

import (
	"slices"

	"ferrous/commands/partialsort"
	"ferrous/datatypes/geohash"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// GEOSEARCH, GEOSEARCHSTORE and what they replace: GEORADIUS and GEORADIUSBYMEMBER with their _RO forms. One handler does
// all six; the commands differ in how they say what is searched, and in what they may do with it.
//
// Members are found cell by cell (package geohash), and in a cell by score. That is the order of a reply that is not to be
// sorted. Otherwise only as many as are returned are sorted, nearest or farthest first; members that are equally far come
// in Redis's order.

const (
	radiusCost = "O(N+log(M)) with N the number of members in the box around the circle and M the number of members of the index."
	searchCost = "O(N+log(M)) with N the number of members in the cells around the area and M the number of members of the index."
	upperUnits = "Units may be in upper case."
	anyOption  = "The option `ANY` of `COUNT`."
)

var (
	geoCount = aBlock("count-block", aTokenArg("count", ArgInteger, "COUNT", ""), aToken("any", "ANY", "").optional()).optional()
	// In the documentation of GEORADIUS ANY has its version.
	geoCountSince = aBlock("count-block", aTokenArg("count", ArgInteger, "COUNT", ""),
		aToken("any", "ANY", "6.2.0").optional()).optional()
	geoOrder = aChoice("order", aToken("asc", "ASC", ""), aToken("desc", "DESC", "")).optional()
	geoWith  = []Arg{aToken("withcoord", "WITHCOORD", "").optional(), aToken("withdist", "WITHDIST", "").optional(),
		aToken("withhash", "WITHHASH", "").optional()}
	geoStore = aChoice("store",
		Arg{Name: "storekey", Display: "key", Type: ArgKey, Key: 1, Token: "STORE"},
		Arg{Name: "storedistkey", Display: "key", Type: ArgKey, Key: 2, Token: "STOREDIST"}).optional()
	geoRadius   = []Arg{aDouble("radius"), geoUnitArg}
	geoCentre   = []Arg{aKey("key"), aDouble("longitude"), aDouble("latitude")}
	geoMember   = []Arg{aKey("key"), aString("member")}
	geoFromArea = []Arg{
		aChoice("from", aTokenArg("member", ArgString, "FROMMEMBER", ""),
			Arg{Name: "fromlonlat", Type: ArgBlock, Token: "FROMLONLAT", Args: []Arg{aDouble("longitude"), aDouble("latitude")}}),
		aChoice("by", aBlock("circle", aTokenArg("radius", ArgDouble, "BYRADIUS", ""), geoUnitArg),
			aBlock("box", aTokenArg("width", ArgDouble, "BYBOX", ""), aDouble("height"), geoUnitArg)),
		geoOrder, geoCount}
)

// radiusKeys are the specs of the GEORADIUS commands that store: the index, and what follows STORE and STOREDIST.
func radiusKeys(from int) []KeySpec {
	return []KeySpec{{Flags: KeyRO | KeyAccess, Index: 1, Step: 1},
		{Flags: KeyOW | KeyUpdate, Keyword: "STORE", StartFrom: from, Step: 1},
		{Flags: KeyOW | KeyUpdate, Keyword: "STOREDIST", StartFrom: from, Step: 1}}
}

var (
	georadiusRow = Command{Name: "georadius", Arity: -6, Flags: Write | DenyOOM | MovableKeys, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{store: true}) }, GetKeys: geoForm{store: true}.storeKeys,
		Group: GroupGeo, Since: "3.2.0", Complexity: radiusCost,
		Summary:    "Returns or stores the members of a geo index within a distance from a position.",
		History:    []Change{{"6.2.0", anyOption}, {"7.0.0", upperUnits}},
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
		Keys: radiusKeys(6),
		Args: slices.Concat(geoCentre, geoRadius, geoWith, []Arg{geoCountSince, geoOrder, geoStore})}
	georadiusRORow = Command{Name: "georadius_ro", Arity: -6, Flags: ReadOnly, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{}) },
		Group:   GroupGeo, Since: "3.2.10", Complexity: radiusCost,
		Summary:    "Returns the members of a geo index within a distance from a position.",
		History:    []Change{{"6.2.0", anyOption}},
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` argument",
		Keys: oneKey(KeyRO | KeyAccess),
		Args: slices.Concat(geoCentre, geoRadius, geoWith, []Arg{geoCountSince, geoOrder})}
	georadiusbymemberRow = Command{Name: "georadiusbymember", Arity: -5, Flags: Write | DenyOOM | MovableKeys, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{member: true, store: true}) },
		GetKeys: geoForm{member: true, store: true}.storeKeys,
		Group:   GroupGeo, Since: "3.2.0", Complexity: radiusCost,
		Summary:    "Returns or stores the members of a geo index within a distance from one of them.",
		History:    []Change{{"7.0.0", upperUnits}},
		Deprecated: "6.2.0",
		ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Keys:       radiusKeys(5),
		Args:       slices.Concat(geoMember, geoRadius, geoWith, []Arg{geoCount, geoOrder, geoStore})}
	georadiusbymemberRORow = Command{Name: "georadiusbymember_ro", Arity: -5, Flags: ReadOnly, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{member: true}) },
		Group:   GroupGeo, Since: "3.2.10", Complexity: radiusCost,
		Summary:    "Returns the members of a geo index within a distance from one of them.",
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Keys: oneKey(KeyRO | KeyAccess),
		Args: slices.Concat(geoMember, geoRadius, geoWith, []Arg{geoCount, geoOrder})}
	geosearchRow = Command{Name: "geosearch", Arity: -7, Flags: ReadOnly, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{search: true}) },
		Group:   GroupGeo, Since: "6.2.0", Complexity: searchCost,
		Summary: "Returns the members of a geo index inside a circle or a box.",
		History: []Change{{"7.0.0", upperUnits}},
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    slices.Concat([]Arg{aKey("key")}, geoFromArea, geoWith)}
	geosearchstoreRow = Command{Name: "geosearchstore", Arity: -8, Flags: Write | DenyOOM, ACL: CatGeo,
		Handler: func(c *Client) { c.geoSearch(geoForm{search: true, store: true}) },
		Group:   GroupGeo, Since: "6.2.0", Complexity: searchCost,
		Summary: "Stores the members of a geo index inside a circle or a box.",
		History: []Change{{"7.0.0", upperUnits}},
		Keys: []KeySpec{{Flags: KeyOW | KeyUpdate, Index: 1, Step: 1},
			{Flags: KeyRO | KeyAccess, Index: 2, Step: 1}},
		Args: slices.Concat([]Arg{aKey("destination"), {Name: "source", Type: ArgKey, Key: 1}}, geoFromArea,
			[]Arg{aToken("storedist", "STOREDIST", "").optional()})}
)

// option returns the number of arguments that belong to the option args[i], or -1 if it is none of the command or lacks an
// argument. The handler and storeKeys both go from option to option by it.
func (f geoForm) option(args [][]byte, i int) int {
	n := -1
	is := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return equalFold(args[i], w) })
	}
	switch {
	case is("withdist", "withhash", "withcoord", "any", "asc", "desc"):
		n = 0
	case is("count"):
		n = 1
	case !f.search:
		if f.store && is("store", "storedist") {
			n = 1
		}
	case f.store && is("storedist"):
		n = 0
	case is("frommember"):
		n = 1
	case is("fromlonlat", "byradius"):
		n = 2
	case is("bybox"):
		n = 3
	}
	if i+n >= len(args) {
		return -1
	}
	return n
}

// options returns the place of the first option.
func (f geoForm) options() int {
	switch {
	case f.search && f.store:
		return 3
	case f.search:
		return 2
	case f.member:
		return 5
	}
	return 6
}

// storeKeys finds the keys of GEORADIUS and GEORADIUSBYMEMBER: the first argument, and what follows the last STORE or
// STOREDIST.
func (f geoForm) storeKeys(args [][]byte) ([]KeyRef, bool) {
	keys := []KeyRef{{Pos: 1, Flags: KeyRO | KeyAccess}}
	for i := f.options(); i < len(args); i++ {
		n := f.option(args, i)
		if n == 1 && !equalFold(args[i], "count") {
			keys = append(keys[:1], KeyRef{Pos: i + 1, Flags: KeyOW | KeyUpdate})
		}
		i += max(n, 0)
	}
	return keys, true
}

const (
	errGeoMember    = "ERR could not decode requested zset member"
	errGeoCount     = "ERR COUNT must be > 0"
	errGeoAny       = "ERR the ANY argument requires COUNT argument"
	errGeoRadius    = "ERR need numeric radius"
	errGeoNegative  = "ERR radius cannot be negative"
	errGeoWidth     = "ERR need numeric width"
	errGeoHeight    = "ERR need numeric height"
	errGeoNegBox    = "ERR height or width cannot be negative"
	errGeoStoreWith = " is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
)

// geoForm tells the six commands apart.
type geoForm struct {
	search bool // GEOSEARCH…
	member bool // …BYMEMBER
	store  bool // the command may store
}

// geoQuery is a search that runs: what its arguments say, and what it found.
type geoQuery struct {
	geoForm
	set   *sortedset.SortedSet // nil if there is no index
	shape geohash.Shape
	unit  float64 // in metres

	withDist, withHash, withCoord bool
	from, fromMember              bool // GEOSEARCH has been told a centre
	by                            bool // and an area
	order                         int  // 1: nearest first; -1: farthest first; 0: as found
	count                         int64
	any                           bool
	store                         []byte
	storeDist                     bool

	found []geoPoint
}

// geoPoint is a member that was found; its distance is in metres.
type geoPoint struct {
	member         sortedset.Value
	score          float64
	lon, lat, dist float64
}

// geoRank is the place of a member that was found, with what it is sorted by.
type geoRank struct {
	dist float64
	at   int
}

func (c *Client) geoSearch(form geoForm) {
	q := geoQuery{geoForm: form}
	key := c.args[1]
	if form.search && form.store {
		q.store, key = c.args[1], c.args[2]
	}
	var ok bool
	if q.set, ok = c.readZSet(key); !ok {
		return
	}
	switch {
	case form.search:
	case !form.member:
		if q.shape.Lon, q.shape.Lat, ok = c.positionArg(2); !ok || !c.geoRadius(&q, 4) {
			return
		}
	case q.set != nil: // else the radius is not looked at
		if !c.geoCentreAt(&q, 2) || !c.geoRadius(&q, 3) {
			return
		}
	}
	if !c.geoOptions(&q, form.options()) || !c.geoComplete(&q) {
		return
	}
	if q.set == nil {
		if q.store != nil {
			c.geoStoreResult(&q, nil)
		} else {
			c.w.Array(0)
		}
		return
	}
	if q.count != 0 && q.order == 0 && !q.any {
		q.order = 1 // the nearest are meant
	}
	q.find()
	ranks := q.rank()
	if q.store != nil {
		c.geoStoreResult(&q, ranks)
	} else {
		c.geoReply(&q, ranks)
	}
}

// geoCentreAt makes the member that argument i names the centre. On failure it has replied.
func (c *Client) geoCentreAt(q *geoQuery, i int) bool {
	score, ok := geoScore(q.set, c.args[i])
	if !ok {
		c.error(errGeoMember)
		return false
	}
	q.shape.Lon, q.shape.Lat = geohash.Position(score)
	return true
}

// geoRadius parses arguments i and i+1 as a radius and its unit. On failure it has replied.
func (c *Client) geoRadius(q *geoQuery, i int) bool {
	r, ok := resp.ParseFloat(c.args[i])
	if !ok {
		c.error(errGeoRadius)
		return false
	}
	if r < 0 {
		c.error(errGeoNegative)
		return false
	}
	if q.unit, ok = c.lengthUnit(i + 1); !ok {
		return false
	}
	q.shape.Radius = r * q.unit
	return true
}

// geoBox parses arguments i to i+2 as a width, a height and their unit. On failure it has replied.
func (c *Client) geoBox(q *geoQuery, i int) bool {
	w, ok := resp.ParseFloat(c.args[i])
	if !ok {
		c.error(errGeoWidth)
		return false
	}
	h, ok := resp.ParseFloat(c.args[i+1])
	if !ok {
		c.error(errGeoHeight)
		return false
	}
	if h < 0 || w < 0 {
		c.error(errGeoNegBox)
		return false
	}
	if q.unit, ok = c.lengthUnit(i + 2); !ok {
		return false
	}
	q.shape.Box, q.shape.Width, q.shape.Height = true, w*q.unit, h*q.unit
	return true
}

// geoOptions parses the arguments from i on. On failure it has replied.
func (c *Client) geoOptions(q *geoQuery, i int) bool {
	for n := 0; i < len(c.args); i += 1 + n {
		if n = q.option(c.args, i); n < 0 {
			c.error(errSyntax)
			return false
		}
		ok := true
		switch {
		case c.is(i, "withdist"):
			q.withDist = true
		case c.is(i, "withhash"):
			q.withHash = true
		case c.is(i, "withcoord"):
			q.withCoord = true
		case c.is(i, "any"):
			q.any = true
		case c.is(i, "asc"):
			q.order = 1
		case c.is(i, "desc"):
			q.order = -1
		case c.is(i, "count"):
			if q.count, ok = c.int64Arg(i + 1); ok && q.count <= 0 {
				c.error(errGeoCount)
				return false
			}
		case !q.search: // STORE or STOREDIST
			q.store, q.storeDist = c.args[i+1], c.is(i, "storedist")
		case c.is(i, "storedist"):
			q.storeDist = true
		case c.is(i, "frommember") && (!q.from || q.fromMember):
			ok = q.set == nil || c.geoCentreAt(q, i+1)
			q.from, q.fromMember = true, true
		case c.is(i, "fromlonlat") && !q.fromMember:
			q.shape.Lon, q.shape.Lat, ok = c.positionArg(i + 1)
			q.from = true
		case c.is(i, "byradius") && !q.shape.Box:
			ok = c.geoRadius(q, i+1)
			q.by = true
		case c.is(i, "bybox") && (!q.by || q.shape.Box):
			ok = c.geoBox(q, i+1)
			q.by = true
		default:
			c.error(errSyntax)
			return false
		}
		if !ok {
			return false
		}
	}
	return true
}

// geoComplete checks that the options go together and nothing is missing. If not it has replied.
func (c *Client) geoComplete(q *geoQuery) bool {
	switch {
	case q.store != nil && (q.withDist || q.withHash || q.withCoord):
		what := "ERR STORE option in GEORADIUS"
		if q.search {
			what = "ERR GEOSEARCHSTORE"
		}
		c.error(what + errGeoStoreWith)
	case q.search && !q.from:
		c.error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + cString(c.args[0]))
	case q.search && !q.by:
		c.error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + cString(c.args[0]))
	case q.any && q.count == 0:
		c.error(errGeoAny)
	default:
		return true
	}
	return false
}

// find looks for the members in the shape; with ANY only until there are as many as were asked for.
func (q *geoQuery) find() {
	enough := -1
	if q.any {
		enough = int(q.count)
	}
	probe := q.shape.Probe()
	var room [geohash.MaxCells]geohash.Code
	for _, cell := range q.shape.Cells(room[:0]) {
		first, end := cell.Scores()
		it := q.set.Iter(q.set.ScoreSpan(sortedset.ScoreRange{Min: first, Max: end, MaxEx: true}), false)
		for {
			if len(q.found) == enough {
				return
			}
			member, score, ok := it.Next()
			if !ok {
				break
			}
			if lon, lat, dist, in := probe.Test(score); in {
				q.found = append(q.found, geoPoint{member, score, lon, lat, dist})
			}
		}
	}
}

// rank returns the members that are returned, in their order.
func (q *geoQuery) rank() []geoRank {
	ranks := make([]geoRank, len(q.found))
	for i := range ranks {
		ranks[i] = geoRank{q.found[i].dist, i}
	}
	n := len(ranks)
	if q.count != 0 {
		n = int(min(q.count, int64(n)))
	}
	compare := func(a, b geoRank) int {
		switch {
		case a.dist > b.dist:
			return q.order
		case a.dist == b.dist:
			return 0
		}
		return -q.order
	}
	switch {
	case q.order == 0:
	case n == len(ranks):
		slices.SortFunc(ranks, func(a, b geoRank) int {
			if r := compare(a, b); r != 0 {
				return r
			}
			return a.at - b.at
		})
	default:
		partialsort.Sort(ranks, compare, 0, n-1)
	}
	return ranks[:n]
}

// geoReply replies with the members of the given ranks, each with what was asked of it.
func (c *Client) geoReply(q *geoQuery, ranks []geoRank) {
	fields := 1
	for _, with := range []bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			fields++
		}
	}
	c.w.Array(len(ranks))
	for _, r := range ranks {
		p := &q.found[r.at]
		if fields > 1 {
			c.w.Array(fields)
		}
		c.bulkValue(p.member)
		if q.withDist {
			c.distance(p.dist / q.unit)
		}
		if q.withHash {
			c.w.Int(int64(p.score))
		}
		if q.withCoord {
			c.position(p.lon, p.lat)
		}
	}
}

// geoStoreResult stores the members of the given ranks as a sorted set, with their codes or distances as scores.
func (c *Client) geoStoreResult(q *geoQuery, ranks []geoRank) {
	recs := make([]*record.Record, len(ranks))
	var buf intText
	for i, r := range ranks {
		p := &q.found[r.at]
		score := p.score
		if q.storeDist {
			score = p.dist / q.unit
		}
		recs[i] = record.NewScore(bytesOf(p.member, &buf), score)
	}
	if len(ranks) > 1 {
		c.srv.dirty += int64(len(ranks) - 1)
	}
	event := "georadiusstore"
	if q.search {
		event = "geosearchstore"
	}
	c.storeZSet(q.store, recs, event)
}

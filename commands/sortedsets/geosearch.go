package sortedsets

import (
	"slices"

	"ferrous/commands/partialsort"
	"ferrous/commands/session"
	"ferrous/datatypes/geohash"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// GEOSEARCH, GEOSEARCHSTORE and their predecessors GEORADIUS and GEORADIUSBYMEMBER with their _RO forms. All six have one
// handler; they differ in the arguments for the searched area, and in whether they may store the result.
//
// Members are found cell by cell (package geohash), and in a cell by score. This is the order of an unsorted reply. Otherwise
// only as many as are returned are sorted, nearest or farthest first; members at the same distance are in Redis's order.

const (
	radiusCost = "O(N+log(M)) with N the number of members in the box around the circle and M the number of members of the index."
	searchCost = "O(N+log(M)) with N the number of members in the cells around the area and M the number of members of the index."
	upperUnits = "Units may be in upper case."
	anyOption  = "The option `ANY` of `COUNT`."
)

var (
	geoCount = session.BlockOf("count-block", session.TokenArg("count", session.ArgInteger, "COUNT", ""), session.TokenWord("any", "ANY", "").Opt()).Opt()
	// In the documentation of GEORADIUS, ANY has a version of its own.
	geoCountSince = session.BlockOf("count-block", session.TokenArg("count", session.ArgInteger, "COUNT", ""),
		session.TokenWord("any", "ANY", "6.2.0").Opt()).Opt()
	geoOrder = session.OneOf("order", session.TokenWord("asc", "ASC", ""), session.TokenWord("desc", "DESC", "")).Opt()
	geoWith  = []session.Arg{session.TokenWord("withcoord", "WITHCOORD", "").Opt(), session.TokenWord("withdist", "WITHDIST", "").Opt(),
		session.TokenWord("withhash", "WITHHASH", "").Opt()}
	geoStore = session.OneOf("store",
		session.Arg{Name: "storekey", Display: "key", Type: session.ArgKey, Key: 1, Token: "STORE"},
		session.Arg{Name: "storedistkey", Display: "key", Type: session.ArgKey, Key: 2, Token: "STOREDIST"}).Opt()
	geoRadius   = []session.Arg{session.DoubleArg("radius"), geoUnitArg}
	geoCentre   = []session.Arg{session.KeyArg("key"), session.DoubleArg("longitude"), session.DoubleArg("latitude")}
	geoMember   = []session.Arg{session.KeyArg("key"), session.StringArg("member")}
	geoFromArea = []session.Arg{
		session.OneOf("from", session.TokenArg("member", session.ArgString, "FROMMEMBER", ""),
			session.Arg{Name: "fromlonlat", Type: session.ArgBlock, Token: "FROMLONLAT", Args: []session.Arg{session.DoubleArg("longitude"), session.DoubleArg("latitude")}}),
		session.OneOf("by", session.BlockOf("circle", session.TokenArg("radius", session.ArgDouble, "BYRADIUS", ""), geoUnitArg),
			session.BlockOf("box", session.TokenArg("width", session.ArgDouble, "BYBOX", ""), session.DoubleArg("height"), geoUnitArg)),
		geoOrder, geoCount}
)

// radiusKeys are the specs of the GEORADIUS commands that store: the index, and the keys behind STORE and STOREDIST.
func radiusKeys(from int) []session.KeySpec {
	return []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Index: 1, Step: 1},
		{Flags: session.KeyOW | session.KeyUpdate, Keyword: "STORE", StartFrom: from, Step: 1},
		{Flags: session.KeyOW | session.KeyUpdate, Keyword: "STOREDIST", StartFrom: from, Step: 1}}
}

var (
	georadiusRow = session.Command{Name: "georadius", Arity: -6, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{store: true}) }, GetKeys: geoForm{store: true}.storeKeys,
		Group: session.GroupGeo, Since: "3.2.0", Complexity: radiusCost,
		Summary:    "Returns or stores the members of a geo index within a distance from a position.",
		History:    []session.Change{{"6.2.0", anyOption}, {"7.0.0", upperUnits}},
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
		Keys: radiusKeys(6),
		Args: slices.Concat(geoCentre, geoRadius, geoWith, []session.Arg{geoCountSince, geoOrder, geoStore})}
	georadiusRORow = session.Command{Name: "georadius_ro", Arity: -6, Flags: session.ReadOnly, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{}) },
		Group:   session.GroupGeo, Since: "3.2.10", Complexity: radiusCost,
		Summary:    "Returns the members of a geo index within a distance from a position.",
		History:    []session.Change{{"6.2.0", anyOption}},
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` argument",
		Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: slices.Concat(geoCentre, geoRadius, geoWith, []session.Arg{geoCountSince, geoOrder})}
	georadiusbymemberRow = session.Command{Name: "georadiusbymember", Arity: -5, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{member: true, store: true}) },
		GetKeys: geoForm{member: true, store: true}.storeKeys,
		Group:   session.GroupGeo, Since: "3.2.0", Complexity: radiusCost,
		Summary:    "Returns or stores the members of a geo index within a distance from one of them.",
		History:    []session.Change{{"7.0.0", upperUnits}},
		Deprecated: "6.2.0",
		ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Keys:       radiusKeys(5),
		Args:       slices.Concat(geoMember, geoRadius, geoWith, []session.Arg{geoCount, geoOrder, geoStore})}
	georadiusbymemberRORow = session.Command{Name: "georadiusbymember_ro", Arity: -5, Flags: session.ReadOnly, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{member: true}) },
		Group:   session.GroupGeo, Since: "3.2.10", Complexity: radiusCost,
		Summary:    "Returns the members of a geo index within a distance from one of them.",
		Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
		Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: slices.Concat(geoMember, geoRadius, geoWith, []session.Arg{geoCount, geoOrder})}
	geosearchRow = session.Command{Name: "geosearch", Arity: -7, Flags: session.ReadOnly, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{search: true}) },
		Group:   session.GroupGeo, Since: "6.2.0", Complexity: searchCost,
		Summary: "Returns the members of a geo index inside a circle or a box.",
		History: []session.Change{{"7.0.0", upperUnits}},
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    slices.Concat([]session.Arg{session.KeyArg("key")}, geoFromArea, geoWith)}
	geosearchstoreRow = session.Command{Name: "geosearchstore", Arity: -8, Flags: session.Write | session.DenyOOM, ACL: session.CatGeo,
		Handler: func(c *session.Client) { geoSearch(c, geoForm{search: true, store: true}) },
		Group:   session.GroupGeo, Since: "6.2.0", Complexity: searchCost,
		Summary: "Stores the members of a geo index inside a circle or a box.",
		History: []session.Change{{"7.0.0", upperUnits}},
		Keys: []session.KeySpec{{Flags: session.KeyOW | session.KeyUpdate, Index: 1, Step: 1},
			{Flags: session.KeyRO | session.KeyAccess, Index: 2, Step: 1}},
		Args: slices.Concat([]session.Arg{session.KeyArg("destination"), {Name: "source", Type: session.ArgKey, Key: 1}}, geoFromArea,
			[]session.Arg{session.TokenWord("storedist", "STOREDIST", "").Opt()})}
)

// option returns the number of arguments of the option args[i], or -1 if the command does not have it or an argument is
// missing. The handler and storeKeys both use it to go from option to option.
func (f geoForm) option(args [][]byte, i int) int {
	n := -1
	is := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return session.EqualFold(args[i], w) })
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

// options returns the index of the first option.
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

// storeKeys finds the keys of GEORADIUS and GEORADIUSBYMEMBER: the first argument, and the key behind the last STORE or
// STOREDIST.
func (f geoForm) storeKeys(args [][]byte) ([]session.KeyRef, bool) {
	keys := []session.KeyRef{{Pos: 1, Flags: session.KeyRO | session.KeyAccess}}
	for i := f.options(); i < len(args); i++ {
		n := f.option(args, i)
		if n == 1 && !session.EqualFold(args[i], "count") {
			keys = append(keys[:1], session.KeyRef{Pos: i + 1, Flags: session.KeyOW | session.KeyUpdate})
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

// geoForm is what distinguishes the six commands.
type geoForm struct {
	search bool // GEOSEARCH…
	member bool // …BYMEMBER
	store  bool // the command may store
}

// geoQuery is the state of a running search: its options, and the members found.
type geoQuery struct {
	geoForm
	set   *sortedset.SortedSet // nil if there is no index
	shape geohash.Shape
	unit  float64 // in metres

	withDist, withHash, withCoord bool
	from, fromMember              bool // GEOSEARCH has a centre
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

// geoRank is the index of a found member, with its sort key.
type geoRank struct {
	dist float64
	at   int
}

func geoSearch(c *session.Client, form geoForm) {
	q := geoQuery{geoForm: form}
	key := c.Args[1]
	if form.search && form.store {
		q.store, key = c.Args[1], c.Args[2]
	}
	var ok bool
	if q.set, ok = readZSet(c, key); !ok {
		return
	}
	switch {
	case form.search:
	case !form.member:
		if q.shape.Lon, q.shape.Lat, ok = positionArg(c, 2); !ok || !parseRadius(c, &q, 4) {
			return
		}
	case q.set != nil: // without an index the radius is not checked
		if !geoCentreAt(c, &q, 2) || !parseRadius(c, &q, 3) {
			return
		}
	}
	if !geoOptions(c, &q, form.options()) || !geoComplete(c, &q) {
		return
	}
	if q.set == nil {
		if q.store != nil {
			geoStoreResult(c, &q, nil)
		} else {
			c.W.Array(0)
		}
		return
	}
	if q.count != 0 && q.order == 0 && !q.any {
		q.order = 1 // COUNT returns the nearest
	}
	q.find()
	ranks := q.rank()
	if q.store != nil {
		geoStoreResult(c, &q, ranks)
	} else {
		geoReply(c, &q, ranks)
	}
}

// geoCentreAt makes the member of argument i the centre. On failure it has replied.
func geoCentreAt(c *session.Client, q *geoQuery, i int) bool {
	score, ok := geoScore(q.set, c.Args[i])
	if !ok {
		c.Error(errGeoMember)
		return false
	}
	q.shape.Lon, q.shape.Lat = geohash.Position(score)
	return true
}

// parseRadius parses arguments i and i+1 as a radius and its unit. On failure it has replied.
func parseRadius(c *session.Client, q *geoQuery, i int) bool {
	r, ok := resp.ParseFloat(c.Args[i])
	if !ok {
		c.Error(errGeoRadius)
		return false
	}
	if r < 0 {
		c.Error(errGeoNegative)
		return false
	}
	if q.unit, ok = lengthUnit(c, i+1); !ok {
		return false
	}
	q.shape.Radius = r * q.unit
	return true
}

// geoBox parses arguments i to i+2 as a width, a height and their unit. On failure it has replied.
func geoBox(c *session.Client, q *geoQuery, i int) bool {
	w, ok := resp.ParseFloat(c.Args[i])
	if !ok {
		c.Error(errGeoWidth)
		return false
	}
	h, ok := resp.ParseFloat(c.Args[i+1])
	if !ok {
		c.Error(errGeoHeight)
		return false
	}
	if h < 0 || w < 0 {
		c.Error(errGeoNegBox)
		return false
	}
	if q.unit, ok = lengthUnit(c, i+2); !ok {
		return false
	}
	q.shape.Box, q.shape.Width, q.shape.Height = true, w*q.unit, h*q.unit
	return true
}

// geoOptions parses the arguments from i on. On failure it has replied.
func geoOptions(c *session.Client, q *geoQuery, i int) bool {
	for n := 0; i < len(c.Args); i += 1 + n {
		if n = q.option(c.Args, i); n < 0 {
			c.Error(session.ErrSyntax)
			return false
		}
		ok := true
		switch {
		case c.Is(i, "withdist"):
			q.withDist = true
		case c.Is(i, "withhash"):
			q.withHash = true
		case c.Is(i, "withcoord"):
			q.withCoord = true
		case c.Is(i, "any"):
			q.any = true
		case c.Is(i, "asc"):
			q.order = 1
		case c.Is(i, "desc"):
			q.order = -1
		case c.Is(i, "count"):
			if q.count, ok = c.Int64Arg(i + 1); ok && q.count <= 0 {
				c.Error(errGeoCount)
				return false
			}
		case !q.search: // STORE or STOREDIST
			q.store, q.storeDist = c.Args[i+1], c.Is(i, "storedist")
		case c.Is(i, "storedist"):
			q.storeDist = true
		case c.Is(i, "frommember") && (!q.from || q.fromMember):
			ok = q.set == nil || geoCentreAt(c, q, i+1)
			q.from, q.fromMember = true, true
		case c.Is(i, "fromlonlat") && !q.fromMember:
			q.shape.Lon, q.shape.Lat, ok = positionArg(c, i+1)
			q.from = true
		case c.Is(i, "byradius") && !q.shape.Box:
			ok = parseRadius(c, q, i+1)
			q.by = true
		case c.Is(i, "bybox") && (!q.by || q.shape.Box):
			ok = geoBox(c, q, i+1)
			q.by = true
		default:
			c.Error(session.ErrSyntax)
			return false
		}
		if !ok {
			return false
		}
	}
	return true
}

// geoComplete checks that no option is missing and that they can be combined. If not it has replied.
func geoComplete(c *session.Client, q *geoQuery) bool {
	switch {
	case q.store != nil && (q.withDist || q.withHash || q.withCoord):
		what := "ERR STORE option in GEORADIUS"
		if q.search {
			what = "ERR GEOSEARCHSTORE"
		}
		c.Error(what + errGeoStoreWith)
	case q.search && !q.from:
		c.Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + session.CString(c.Args[0]))
	case q.search && !q.by:
		c.Error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + session.CString(c.Args[0]))
	case q.any && q.count == 0:
		c.Error(errGeoAny)
	default:
		return true
	}
	return false
}

// find searches the members in the shape; with ANY it stops when it has COUNT members.
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

// rank returns the ranks of the result, in their order.
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

// geoReply replies with the members of the given ranks, each with the requested fields.
func geoReply(c *session.Client, q *geoQuery, ranks []geoRank) {
	fields := 1
	for _, with := range []bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			fields++
		}
	}
	c.W.Array(len(ranks))
	for _, r := range ranks {
		p := &q.found[r.at]
		if fields > 1 {
			c.W.Array(fields)
		}
		c.BulkValue(p.member)
		if q.withDist {
			distance(c, p.dist/q.unit)
		}
		if q.withHash {
			c.W.Int(int64(p.score))
		}
		if q.withCoord {
			position(c, p.lon, p.lat)
		}
	}
}

// geoStoreResult stores the members of the given ranks as a sorted set, with their codes or distances as scores.
func geoStoreResult(c *session.Client, q *geoQuery, ranks []geoRank) {
	recs := make([]*record.Record, len(ranks))
	var buf session.IntText
	for i, r := range ranks {
		p := &q.found[r.at]
		score := p.score
		if q.storeDist {
			score = p.dist / q.unit
		}
		recs[i] = record.NewScore(session.BytesOf(p.member, &buf), score)
	}
	if len(ranks) > 1 {
		c.Core.Dirty += int64(len(ranks) - 1)
	}
	event := "georadiusstore"
	if q.search {
		event = "geosearchstore"
	}
	storeZSet(c, q.store, recs, event)
}

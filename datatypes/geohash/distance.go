package geohash

import "math"

// earthRadius is the quadratic mean radius of the Earth, in metres.
const earthRadius = 6372797.560856

func radians(degrees float64) float64 { return degrees * (math.Pi / 180) }
func degrees(radians float64) float64 { return radians / (math.Pi / 180) }

// latDistance returns the distance in metres of two points of one meridian, given their latitudes in radians.
func latDistance(lat1, lat2 float64) float64 { return earthRadius * math.Abs(lat2-lat1) }

// Distance returns the distance of two positions along a great circle of a sphere, in metres, by the haversine formula.
// It is as exact as a double can be, except for nearly opposite positions, where the formula is wrong by some decimetres.
func Distance(lon1, lat1, lon2, lat2 float64) float64 {
	return haversine(sin((radians(lon2)-radians(lon1))/2), radians(lat1), radians(lat2))
}

// haversine is Distance; v is the sine of half the difference of the longitudes, the latitudes are in radians.
func haversine(v, lat1, lat2 float64) float64 {
	if v == 0 {
		return latDistance(lat1, lat2)
	}
	return havDistance(hav(v, sin((lat2-lat1)/2), cos(lat1)*cos(lat2)))
}

// hav returns the haversine of the angle between two positions: v is the sine of half the difference of their longitudes,
// u that of their latitudes, cc the product of the cosines of their latitudes.
func hav(v, u, cc float64) float64 { return float64(u*u) + float64(float64(cc*v)*v) }

// havDistance returns the distance in metres that a haversine stands for.
func havDistance(h float64) float64 { return 2 * earthRadius * asin(math.Sqrt(h)) }

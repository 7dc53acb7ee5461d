package config

import (
	"fmt"
	"strconv"
	"strings"
)

// The directives whose value is a list, or needs more than a field. Each has a
// setting type of its own.

// dirSetting is dir, resolved against the previous one. Config.Path uses it for
// relative names; EnterDir makes it the working directory of the process, too.
type dirSetting struct{ c *Config }

func (s dirSetting) set(args []string) (bool, error) {
	if len(args) != 1 {
		return false, errWrongArgs
	}
	if args[0] == "" {
		return false, errNoDir
	}
	dir, err := s.c.fs.ResolveDir(s.c.Path(args[0]))
	if err != nil {
		return false, reason(errorText(err))
	}
	s.c.Dir = dir
	return true, nil
}

func (s dirSetting) get() string { return s.c.WorkDir() }

func (s dirSetting) lines(name string) []fileLine {
	dir := s.c.WorkDir()
	if dir == "" {
		return nil
	}
	return oneLine(name, Quote(dir), true)
}

// saveSetting is save. In files and on the command line its lines add up, the
// first one replacing the default; CONFIG SET replaces them all.
type saveSetting struct{ c *Config }

func (s saveSetting) set(args []string) (bool, error) {
	if len(args) == 1 && args[0] == "" {
		s.c.Save = nil
		args = nil
	}
	if len(args)%2 != 0 {
		return false, errSave
	}
	points := make([]SavePoint, 0, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		sec, ok := parseLoose(args[i], 10)
		changes, ok2 := parseLoose(args[i+1], 10)
		if !ok || !ok2 || sec < 1 || changes < 0 {
			return false, errSave
		}
		points = append(points, SavePoint{sec, changes})
	}
	if s.c.loading > 0 && s.c.saveSeen {
		points = append(s.c.Save[:len(s.c.Save):len(s.c.Save)], points...)
	}
	if s.c.loading > 0 {
		s.c.saveSeen = true
	}
	s.c.Save = points
	return true, nil
}

func (s saveSetting) get() string {
	words := make([]string, len(s.c.Save))
	for i, p := range s.c.Save {
		words[i] = fmt.Sprintf("%d %d", p.Seconds, p.Changes)
	}
	return strings.Join(words, " ")
}

func (s saveSetting) lines(name string) []fileLine {
	if len(s.c.Save) == 0 {
		return oneLine(name, `""`, true)
	}
	var out []fileLine
	for _, p := range s.c.Save {
		out = append(out, fileLine{fmt.Sprintf("%s %d %d", name, p.Seconds, p.Changes), true})
	}
	return out
}

// limitsSetting is client-output-buffer-limit: groups of four words, each
// replacing the limits of one class.
type limitsSetting struct{ p *[3]Limit }

var (
	defaultLimits = [3]Limit{{}, {256 << 20, 64 << 20, 60}, {32 << 20, 8 << 20, 60}}
	// CONFIG GET still says slave, the configuration file replica.
	limitNames     = [3]string{"normal", "slave", "pubsub"}
	limitFileNames = [3]string{"normal", "replica", "pubsub"}
)

func (s limitsSetting) set(args []string) (bool, error) {
	if len(args)%4 != 0 {
		return false, errLimitArgs
	}
	limits := *s.p
	for ; len(args) > 0; args = args[4:] {
		class := -1
		for i := range limits {
			if strings.EqualFold(args[0], limitNames[i]) || strings.EqualFold(args[0], limitFileNames[i]) {
				class = i
			}
		}
		if class < 0 {
			return false, errLimitClass
		}
		hard, ok1 := ParseMemory(args[1])
		soft, ok2 := ParseMemory(args[2])
		sec, ok3 := parseLoose(args[3], 10)
		if !ok1 || !ok2 || !ok3 || sec < 0 {
			return false, errLimitValue
		}
		limits[class] = Limit{hard, soft, sec}
	}
	*s.p = limits
	return true, nil
}

func (s limitsSetting) get() string {
	var words []string
	for i, l := range s.p {
		words = append(words, fmt.Sprintf("%s %d %d %d", limitNames[i], l.Hard, l.Soft, l.SoftSeconds))
	}
	return strings.Join(words, " ")
}

func (s limitsSetting) lines(name string) []fileLine {
	var out []fileLine
	for i, l := range s.p {
		text := fmt.Sprintf("%s %s %s %s %d", name, limitFileNames[i],
			formatMemory(l.Hard), formatMemory(l.Soft), l.SoftSeconds)
		out = append(out, fileLine{text, l != defaultLimits[i]})
	}
	return out
}

// oomSetting is oom-score-adj-values.
type oomSetting struct{ c *Config }

var defaultOOM = [3]int{0, 200, 800}

func (s oomSetting) set(args []string) (bool, error) {
	var vals [3]int
	if len(args) != len(vals) {
		return false, errWrongArgs
	}
	for i, a := range args {
		n, ok := parseLoose(a, 10)
		if !ok || n < -2000 || n > 2000 {
			return false, errOOMValues
		}
		vals[i] = int(n)
	}
	if vals[1] < vals[0] || vals[2] < vals[1] {
		s.c.logf(LogWarning, "The oom-score-adj-values configuration may not work for non-privileged processes! Please consult the documentation.")
	}
	changed := s.c.OOMScoreAdjValues != vals
	s.c.OOMScoreAdjValues = vals
	return changed, nil
}

func (s oomSetting) get() string {
	v := s.c.OOMScoreAdjValues
	return fmt.Sprintf("%d %d %d", v[0], v[1], v[2])
}

func (s oomSetting) lines(name string) []fileLine {
	return oneLine(name, s.get(), s.c.OOMScoreAdjValues != defaultOOM)
}

// notifySetting is notify-keyspace-events.
type notifySetting struct{ p *NotifyFlags }

// notifyLetters lists the letters in the order in which they are printed.
var notifyLetters = []struct {
	letter byte
	flag   NotifyFlags
}{
	{'g', NotifyGeneric}, {'$', NotifyString}, {'l', NotifyList}, {'s', NotifySet},
	{'h', NotifyHash}, {'z', NotifyZset}, {'x', NotifyExpired}, {'e', NotifyEvicted},
	{'t', NotifyStream}, {'d', NotifyModule}, {'n', NotifyNew},
	{'K', NotifyKeyspace}, {'E', NotifyKeyevent}, {'m', NotifyKeyMiss},
}

// ParseNotifyFlags reads the letters of notify-keyspace-events.
func ParseNotifyFlags(s string) (NotifyFlags, bool) {
	var flags NotifyFlags
next:
	for i := 0; i < len(s); i++ {
		if s[i] == 'A' {
			flags |= NotifyAll
			continue
		}
		for _, l := range notifyLetters {
			if l.letter == s[i] {
				flags |= l.flag
				continue next
			}
		}
		return 0, false
	}
	return flags, true
}

// String returns the letters of the flags in Redis's order; as in Redis 7.2,
// after A the letter n is left out.
func (f NotifyFlags) String() string {
	var out []byte
	all := f&NotifyAll == NotifyAll
	if all {
		out = append(out, 'A')
	}
	for _, l := range notifyLetters {
		if f&l.flag != 0 && !(all && (l.flag&NotifyAll != 0 || l.flag == NotifyNew)) {
			out = append(out, l.letter)
		}
	}
	return string(out)
}

func (s notifySetting) set(args []string) (bool, error) {
	if len(args) != 1 {
		return false, errWrongArgs
	}
	flags, ok := ParseNotifyFlags(args[0])
	if !ok {
		return false, errEventClass
	}
	*s.p = flags
	return true, nil
}

func (s notifySetting) get() string { return s.p.String() }

func (s notifySetting) lines(name string) []fileLine {
	return oneLine(name, Quote(s.get()), *s.p != 0)
}

// bindSetting is bind or metrics-bind. A single empty word means no address at all.
type bindSetting struct {
	p   *[]string
	def []string
}

const maxBind = 16

var (
	defaultBind        = []string{"*", "-::*"}
	defaultMetricsBind = []string{"127.0.0.1", "-::1"}
)

func (s bindSetting) set(args []string) (bool, error) {
	if len(args) > maxBind {
		return false, errBindCount
	}
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	*s.p = append([]string(nil), args...)
	return true, nil
}

func (s bindSetting) get() string { return strings.Join(*s.p, " ") }

func (s bindSetting) lines(name string) []fileLine {
	text := s.get()
	if text == strings.Join(s.def, " ") {
		return nil
	}
	if len(*s.p) == 0 {
		text = `""`
	}
	return oneLine(name, text, true)
}

// replicaofSetting is replicaof.
type replicaofSetting struct{ c *Config }

func (s replicaofSetting) set(args []string) (bool, error) {
	if len(args) != 2 {
		return false, errWrongArgs
	}
	s.c.ReplicaOf = Master{}
	if strings.EqualFold(args[0], "no") && strings.EqualFold(args[1], "one") {
		return true, nil
	}
	port, ok := parseLoose(args[1], 10)
	if !ok || port < 0 || port > 65535 {
		return false, errMasterPort
	}
	s.c.ReplicaOf = Master{args[0], int(port)}
	return true, nil
}

func (s replicaofSetting) get() string {
	if s.c.ReplicaOf.Host == "" {
		return ""
	}
	return s.c.ReplicaOf.Host + " " + strconv.Itoa(s.c.ReplicaOf.Port)
}

func (s replicaofSetting) lines(name string) []fileLine {
	if s.c.ReplicaOf.Host == "" || s.c.ClusterEnabled {
		return nil
	}
	return oneLine(name, s.get(), true)
}

// percentilesSetting is latency-tracking-info-percentiles.
type percentilesSetting struct{ p *[]float64 }

func (s percentilesSetting) set(args []string) (bool, error) {
	if len(args) == 1 && args[0] == "" {
		args = nil
	}
	vals := make([]float64, len(args))
	for i, a := range args {
		v, err := strconv.ParseFloat(a, 64)
		if err != nil || v != v || strings.Contains(a, "_") {
			return false, errPercentile
		}
		if v < 0 || v > 100 {
			return false, errPercentileRange
		}
		vals[i] = v
	}
	*s.p = vals
	return true, nil
}

func (s percentilesSetting) get() string {
	words := make([]string, len(*s.p))
	for i, v := range *s.p {
		words[i] = FormatPercentile(v)
	}
	return strings.Join(words, " ")
}

func (s percentilesSetting) lines(name string) []fileLine {
	text := s.get()
	if text == "" {
		text = `""`
	}
	return oneLine(name, text, true)
}

// FormatPercentile writes a percentile with at most six decimals and no zeros
// at the end, as CONFIG GET and the latencystats section of INFO print it.
func FormatPercentile(v float64) string {
	s := strconv.FormatFloat(v, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// The routes. Each is a function that returns what is to be sent; errors of the Source become statuses.

const (
	typeText = "text/plain; version=0.0.4; charset=utf-8"
	typeJSON = "application/json"
	typeHTML = "text/html; charset=utf-8"
)

// pageHeader is what the script of the page sends with each request. The page of another site can have a browser send a GET with a
// password that the browser knows, but not this header: the browser would have to ask first, by OPTIONS, and gets status 405. So
// such a page cannot begin a scan, log anyone in or out.
const pageHeader = "X-Ferrous-Page"

// route answers one path.
type route struct {
	page bool // of the page: nobody is answered under the host's address only
	open bool // without asking who it is
	do   func(s *Server, r *http.Request, who Asker) (kind string, body []byte, err error)
}

// asJSON makes a route of a question.
func asJSON[T any](ask func(s Source, ctx context.Context, who Asker) (T, error)) route {
	return route{page: true, do: func(s *Server, r *http.Request, who Asker) (string, []byte, error) {
		v, err := ask(s.opt.Source, r.Context(), who)
		if err != nil {
			return "", nil, err
		}
		body, err := json.Marshal(v)
		return typeJSON, body, err
	}}
}

var routeTable = map[string]route{
	"/": {page: true, open: true, do: func(*Server, *http.Request, Asker) (string, []byte, error) { return typeHTML, page, nil }},
	"/metrics": {do: func(s *Server, r *http.Request, who Asker) (string, []byte, error) {
		m, err := s.opt.Source.Metrics(r.Context(), who)
		if err != nil {
			return "", nil, err
		}
		b := appendText(make([]byte, 0, 64<<10), m)
		return typeText, appendText(b, runtimeMetrics()), nil
	}},
	"/api/figures": asJSON(func(s Source, ctx context.Context, who Asker) (map[string]figure, error) {
		m, err := s.Metrics(ctx, who)
		if err != nil {
			return nil, err
		}
		return figures(append(m, runtimeMetrics()...)), nil
	}),
	"/api/slowlog":  asJSON(Source.SlowLog),
	"/api/clients":  asJSON(Source.Clients),
	"/api/settings": asJSON(Source.Settings),
	"/api/log":      asJSON(Source.Log),
	"/api/keys": asJSON(func(s Source, ctx context.Context, who Asker) (KeyReport, error) {
		return s.Keys(ctx, who, false)
	}),
	"/api/keys/scan": asJSON(func(s Source, ctx context.Context, who Asker) (KeyReport, error) {
		return s.Keys(ctx, who, true)
	}),
}

// figure is a metric as the page reads it: samples by label.
type figure struct {
	Bounds  []float64           `json:"bounds,omitempty"`
	Values  map[string]float64  `json:"values"`
	Buckets map[string][]uint64 `json:"buckets,omitempty"`
}

func figures(all []Metric) map[string]figure {
	out := make(map[string]figure, len(all))
	for _, m := range all {
		f := figure{Bounds: m.Bounds, Values: make(map[string]float64, len(m.Samples))}
		for _, x := range m.Samples {
			f.Values[Text(x.Label).Visible()] = x.Value
			if m.Kind == Histogram {
				if f.Buckets == nil {
					f.Buckets = make(map[string][]uint64)
				}
				f.Buckets[Text(x.Label).Visible()] = x.Buckets
			}
		}
		out[strings.TrimPrefix(m.Name, "ferrous_")] = f
	}
	return out
}

func (s *Server) routes() http.Handler { return http.HandlerFunc(s.answer) }

// answer answers a request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	s.mu.Lock()
	c.answering, c.since = true, time.Now()
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	r = r.WithContext(ctx)

	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		h.Set("Connection", "close") // whatever body there is stays unread
		s.refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD are answered")
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get(pageHeader) == "" {
		s.refuse(w, http.StatusForbidden, "what the page's script asks has the header "+pageHeader)
		return
	}
	switch r.URL.Path {
	case "/api/login":
		s.login(w, r, c)
		return
	case "/api/logout":
		s.logout(w, r)
		return
	}
	route, known := routeTable[r.URL.Path]
	if !known {
		s.refuse(w, http.StatusNotFound, "there is no such page; /metrics and / are")
		return
	}
	who := Asker{Port: c.via != "", From: r.RemoteAddr}
	if !route.open {
		var err error
		if who, err = s.asker(r, c); err != nil {
			s.fail(w, route, err)
			return
		}
	}
	if route.page && who.User == nil && !numericHost(r.Host) {
		s.refuse(w, http.StatusForbidden, "without a login this page is served under the server's address or localhost only, not under a name")
		return
	}
	kind, body, err := route.do(s, r, who)
	if err != nil {
		s.fail(w, route, err)
		return
	}
	h.Set("Content-Type", kind)
	if kind == typeHTML {
		h.Set("Content-Security-Policy", pagePolicy)
	}
	w.Write(body)
}

// asker finds out who makes a request.
func (s *Server) asker(r *http.Request, c *conn) (Asker, error) {
	who := Asker{Port: c.via != "", From: r.RemoteAddr}
	s.mu.Lock()
	secret := s.password
	s.mu.Unlock()
	if c.via == "" {
		secret = ""
	}
	same := func(password string) bool {
		return secret != "" && subtle.ConstantTimeCompare([]byte(password), []byte(secret)) == 1
	}
	head := r.Header.Get("Authorization")
	name, password, basic := r.BasicAuth()
	switch token, found := cutFold(head, "Bearer "); {
	case found && same(token), basic && same(password):
		who.Scraper = true
		return who, nil
	case found:
		_, err := s.opt.Source.Login(r.Context(), "", token, r.RemoteAddr) // logged as a failure
		return who, errors.Join(ErrLogin, err)
	case basic:
		user, err := s.opt.Source.Login(r.Context(), name, password, r.RemoteAddr)
		who.User = user
		return who, err
	}
	if cookie, err := r.Cookie(s.cookie); err == nil {
		if who.User = s.logins.user(cookie.Value, time.Now()); who.User != nil {
			return who, nil
		}
	}
	if secret != "" {
		return who, ErrLogin
	}
	return who, nil
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// login begins a session for the user of HTTP Basic. A failure has no WWW-Authenticate: the page has its own form.
func (s *Server) login(w http.ResponseWriter, r *http.Request, c *conn) {
	name, password, ok := r.BasicAuth()
	if !ok {
		s.refuse(w, http.StatusForbidden, "send name and password by HTTP Basic")
		return
	}
	user, err := s.opt.Source.Login(r.Context(), name, password, r.RemoteAddr)
	if errors.Is(err, ErrLogin) {
		s.refuse(w, http.StatusForbidden, "wrong name or password")
		return
	}
	if err != nil {
		s.fail(w, route{page: true}, err)
		return
	}
	s.setCookie(w, s.logins.open(user, time.Now()), 0)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(s.cookie); err == nil {
		s.logins.end(cookie.Value)
	}
	s.setCookie(w, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: value, MaxAge: age, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// fail answers an error of the Source.
func (s *Server) fail(w http.ResponseWriter, rt route, err error) {
	switch {
	case errors.Is(err, ErrLogin), errors.Is(err, ErrEnded):
		if !rt.page {
			w.Header().Set("WWW-Authenticate", `Basic realm="Ferrous", charset="UTF-8"`)
		}
		s.refuse(w, http.StatusUnauthorized, ErrLogin.Error())
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrProtected):
		s.refuse(w, http.StatusForbidden, err.Error())
	default: // the loop is held, or ends
		w.Header().Set("Retry-After", "5")
		s.refuse(w, http.StatusServiceUnavailable, "the server does not answer now")
	}
}

func (s *Server) refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(why + "\n"))
}

// numericHost reports whether a Host header has an address or localhost, which no foreign page can have as its own.
func numericHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

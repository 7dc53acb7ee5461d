package web

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

const (
	maxSessions = 64
	sessionIdle = 30 * time.Minute
	sessionMost = 12 * time.Hour
)

// sessions are the logins that cookies stand for, by their random tokens. The zero value has none.
type sessions struct {
	mu sync.Mutex
	m  map[string]*session
}

type session struct {
	user        User
	began, used time.Time
}

// open begins a session, in the place of the one that was used least lately if there are too many.
func (s *sessions) open(user User, now time.Time) (token string) {
	var raw [32]byte
	rand.Read(raw[:]) // it never fails
	token = hex.EncodeToString(raw[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[string]*session)
	}
	var oldest string
	for t, x := range s.m {
		if x.over(now) {
			delete(s.m, t)
		} else if oldest == "" || x.used.Before(s.m[oldest].used) {
			oldest = t
		}
	}
	if len(s.m) >= maxSessions {
		delete(s.m, oldest)
	}
	s.m[token] = &session{user: user, began: now, used: now}
	return token
}

// user returns who has logged in, nil if the session is over or there was none.
func (s *sessions) user(token string, now time.Time) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.m[token]
	if x == nil {
		return nil
	}
	if x.over(now) {
		delete(s.m, token)
		return nil
	}
	x.used = now
	return x.user
}

// end ends a session.
func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, token)
}

func (x *session) over(now time.Time) bool {
	return now.Sub(x.used) > sessionIdle || now.Sub(x.began) > sessionMost
}

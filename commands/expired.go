package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// fieldExpired is told of each field that expires in the background, before it is deleted.
func (s *Server) fieldExpired(db *keyspace.DB, r *record.Record, field []byte) {
	if len(s.Sinks) > 0 {
		s.feed(db.ID, [][]byte{[]byte("HDEL"), r.Key(), field})
	}
}

// fieldsExpired is told of a hash of which fields have just expired; if none is left its key is about to be deleted.
func (s *Server) fieldsExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.Notify(config.NotifyHash, "hexpired", key, db)
	if record.Value[hash.Hash](r).Len() == 0 {
		s.Notify(config.NotifyGeneric, "del", key, db)
	}
	s.KeyModified(db, key)
}

// keyExpired is told of each expired key before it is deleted.
func (s *Server) keyExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	if len(s.Sinks) > 0 {
		s.feed(db.ID, [][]byte{s.ExpiryVerb(), key})
	}
	s.Notify(config.NotifyExpired, "expired", key, db)
	s.expiring = true
	s.KeyModified(db, key)
	s.expiring = false
}

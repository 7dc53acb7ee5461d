package commands

// TLS: what the directives tls-… mean for the server. The work is done by eventloop/secure; here are the settings, the port,
// and the client that a certificate logs in.

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"ferrous/commands/acl"
	"ferrous/commands/config"
	"ferrous/eventloop"
	"ferrous/eventloop/secure"
)

// tlsState is what the server has of TLS.
type tlsState struct {
	ctx     *secure.Context // nil while nothing is encrypted
	port    *secure.Port    // made with the first tls-port
	room    atomic.Int64    // how many more clients maxclients allows, for the goroutines of the port
	looking bool            // a goroutine looks at the files
	looked  int64           // when the last look began, Unix ms
}

// usesTLS reports whether any directive asks for encryption.
func (s *Server) usesTLS() bool {
	return s.Config.TLSPort != 0 || s.Config.TLSReplication || s.Config.TLSCluster
}

// TLSSettings is what the configuration says of TLS.
func TLSSettings(c *config.Config) secure.Settings {
	return secure.Settings{
		CertFile: c.Path(c.TLSCertFile), KeyFile: c.Path(c.TLSKeyFile), KeyPass: c.TLSKeyFilePass,
		ClientCertFile: c.Path(c.TLSClientCertFile), ClientKeyFile: c.Path(c.TLSClientKeyFile), ClientKeyPass: c.TLSClientKeyFilePass,
		CACertFile: c.Path(c.TLSCACertFile), CACertDir: c.Path(c.TLSCACertDir),
		AuthClients: map[config.TLSAuth]secure.ClientAuth{config.TLSAuthNo: secure.AuthNo, config.TLSAuthYes: secure.AuthYes,
			config.TLSAuthOptional: secure.AuthOptional}[c.TLSAuthClients],
		NeedCA:    c.TLSReplication || c.TLSCluster,
		Protocols: c.TLSProtocols, Ciphers: c.TLSCiphers,
		SessionCaching: c.TLSSessionCaching,
	}
}

// loadTLS reads certificates and settings. New connections are made with them; where they are no good the old ones stay.
func (s *Server) loadTLS() error {
	if !s.usesTLS() {
		return nil
	}
	ctx, err := secure.Load(TLSSettings(s.Config), time.Now())
	if err != nil {
		return err
	}
	s.useTLS(ctx)
	return nil
}

func (s *Server) useTLS(ctx *secure.Context) {
	s.tls.ctx = ctx
	if s.tls.port != nil {
		s.tls.port.Use(ctx)
	}
}

// listenTLS listens on tls-port at the addresses of bind, and no longer where it did before.
func (s *Server) listenTLS() error {
	s.countRoom()
	var addrs []string
	if s.Config.TLSPort != 0 {
		for _, b := range s.bindAddrs() {
			addrs = append(addrs, b.network+"://"+net.JoinHostPort(b.host, fmt.Sprint(s.Config.TLSPort)))
		}
	}
	if s.tls.port == nil {
		if len(addrs) == 0 {
			return nil
		}
		s.tls.port = secure.NewPort(s.tls.ctx, secure.Options{
			Join: func(st *secure.Stream, joined func()) { s.loop.Join(st); s.loop.Post(joined) },
			Most: func() int { return int(s.tls.room.Load()) },
			Failed: func(peer, local string, err error, more int64) {
				text := fmt.Sprintf("Error accepting a client connection: %v (addr=%s laddr=%s)", err, peer, local)
				if more > 0 {
					text += fmt.Sprintf(", and %d others since the last such line", more)
				}
				s.Logf(config.LogWarning, "%s", text)
			},
		})
	}
	return s.tls.port.Listen(addrs, s.Config.TCPBacklog)
}

// countRoom updates how many more clients the port may accept. Handshakes use the descriptors of clients.
func (s *Server) countRoom() { s.tls.room.Store(int64(s.Config.MaxClients - len(s.clients))) }

// dialTLS returns the function that encrypts a connection to a master; nil without tls-replication. The function uses the TLS
// settings of this moment, also if it runs later.
func (s *Server) dialTLS() func(context.Context, *net.TCPConn) (eventloop.Stream, error) {
	if !s.Config.TLSReplication {
		return nil
	}
	ctx := s.tls.ctx
	return func(c context.Context, tcp *net.TCPConn) (eventloop.Stream, error) {
		st, err := ctx.Dial(c, tcp)
		if err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		return st, nil
	}
}

// replicationPort is the port of REPLCONF listening-port without replica-announce-port.
func (s *Server) replicationPort() int {
	if s.Config.TLSReplication && s.Config.TLSPort != 0 {
		return s.Config.TLSPort
	}
	return s.Config.Port
}

// applyTLS answers a CONFIG SET of files or settings.
func (s *Server) applyTLS() error {
	if err := s.loadTLS(); err != nil {
		s.Logf(config.LogWarning, "%v", err)
		return refusal("Unable to update TLS configuration. Check server logs.")
	}
	return nil
}

// applyTLSPort answers a CONFIG SET of tls-port.
func (s *Server) applyTLSPort() error {
	if err := s.applyTLS(); err != nil {
		return err
	}
	if err := s.listenTLS(); err != nil {
		s.Logf(config.LogWarning, "Could not listen on another address: %v", err)
		return refusal("Unable to listen on this port. Check server logs.")
	}
	return nil
}

// watchTLSFiles looks whether a certificate or key was replaced, every tls-auto-reload-interval seconds, in a goroutine. What
// cannot be used is logged, and the old one stays.
func (s *Server) watchTLSFiles() {
	t := &s.tls
	every := int64(s.Config.TLSAutoReloadInterval) * 1000
	if t.ctx == nil || every == 0 || t.looking || s.Keyspace.Now-t.looked < every {
		return
	}
	t.looking, t.looked = true, s.Keyspace.Now
	old := t.ctx
	go func() {
		var fresh *secure.Context
		var err error
		changed := old.Changed()
		if changed {
			fresh, err = secure.Load(old.Settings(), time.Now())
		}
		s.loop.Post(func() {
			t.looking = false
			switch {
			case !changed || t.ctx != old:
			case err != nil:
				s.Logf(config.LogWarning, "The changed TLS files are not used: %v", err)
			default:
				s.useTLS(fresh)
				s.Logf(config.LogNotice, "TLS files have changed and were loaded.")
			}
		})
	}()
}

// logInByCertificate makes a new client the user whom its certificate names (tls-auth-clients-user). Without such a user it
// stays what other new clients are.
func (c *Client) logInByCertificate() {
	st, ok := c.conn.Stream().(*secure.Stream)
	if !ok || c.srv.Config.TLSAuthClientsUser != config.TLSUserCN {
		return
	}
	name := st.Subject()
	if name == "" {
		return
	}
	if u := c.srv.security.users.Get([]byte(name)); u != nil && u.Enabled() && !strings.ContainsRune(name, 0) {
		c.user, c.authed = u, true
		return
	}
	c.srv.logDenialOf(c, acl.DeniedCert, "", name)
}

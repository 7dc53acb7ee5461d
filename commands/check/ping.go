package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"ferrous/commands/config"
	"ferrous/eventloop/secure"
)

// PingAuth names the environment variable with which Ping logs in: a password, or a user, a blank and a password. It is for
// servers whose users stand in an ACL; else requirepass is what Ping sends.
const PingAuth = "FERROUS_PING_AUTH"

// pingTimeout bounds each step of Ping. A server that is healthy answers in less time.
const pingTimeout = 3 * time.Second

// Ping asks the server that the configuration describes whether it is ready: it connects to the port at the first address of
// bind, to tls-port where there is no other, or to the Unix socket where there is no port, and sends PING. It writes what came
// back to out as one line and returns the code to exit with: 0 for PONG, else 1.
func Ping(out io.Writer, c *config.Config, settings secure.Settings) int {
	p := pinger{config: c, settings: settings}
	reply, err := p.ping()
	if err != nil {
		if p.where == "" {
			p.where = "No server"
		}
		fmt.Fprintf(out, "%s: %v\n", p.where, err)
		return 1
	}
	fmt.Fprintf(out, "%s: %s\n", p.where, reply)
	return 0
}

type pinger struct {
	config   *config.Config
	settings secure.Settings
	where    string // what was connected to, for the reader
	conn     net.Conn
	in       *bufio.Reader
}

func (p *pinger) ping() (string, error) {
	if err := p.connect(); err != nil {
		return "", err
	}
	defer p.conn.Close()
	if err := p.conn.SetDeadline(time.Now().Add(pingTimeout)); err != nil {
		return "", err
	}
	p.in = bufio.NewReader(p.conn)
	if words := p.login(); words != nil {
		if _, err := p.do(words); err != nil {
			return "", fmt.Errorf("logging in: %w", err)
		}
	}
	name := "PING"
	for _, r := range p.config.Renames {
		if strings.EqualFold(r.From, name) && r.To != "" {
			name = r.To
		}
	}
	return p.do([]string{name})
}

// connect opens the connection, with TLS where it goes to tls-port.
func (p *pinger) connect() (err error) {
	c := p.config
	port := c.Port
	encrypted := port == 0 && c.TLSPort != 0
	if encrypted {
		port = c.TLSPort
	}
	switch host := pingHost(c.Bind); {
	case port != 0 && host != "":
		p.where = net.JoinHostPort(host, strconv.Itoa(port))
		p.conn, err = net.DialTimeout("tcp", p.where, pingTimeout)
	case c.UnixSocket != "":
		p.where, encrypted = c.Path(c.UnixSocket), false
		p.conn, err = net.DialTimeout("unix", p.where, pingTimeout)
	default:
		return errors.New("the configuration has neither a port nor a socket")
	}
	var op *net.OpError
	if errors.As(err, &op) { // which repeats the address
		err = op.Err
	}
	if err != nil || !encrypted {
		return err
	}
	if p.settings.CACertFile == "" && p.settings.CACertDir == "" {
		p.settings.CACertFile = p.settings.CertFile // no authority is known: the server's own certificate is the one to expect
	}
	ctx, err := secure.Load(p.settings, time.Now())
	if err == nil {
		p.conn, err = ctx.Client(p.conn, pingTimeout) // closes it on an error
	} else {
		p.conn.Close()
	}
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return nil
}

// pingHost is the address of this host at which a server listens that has been told to bind to these.
func pingHost(bind []string) string {
	if len(bind) == 0 {
		return ""
	}
	switch host := strings.TrimPrefix(bind[0], "-"); host {
	case "*", "0.0.0.0":
		return "127.0.0.1"
	case "::*", "::":
		return "::1"
	default:
		return host
	}
}

// login returns the AUTH to send, nil for none.
func (p *pinger) login() []string {
	if words := strings.SplitN(os.Getenv(PingAuth), " ", 2); words[0] != "" {
		return append([]string{"AUTH"}, words...)
	}
	if p.config.RequirePass != "" {
		return []string{"AUTH", p.config.RequirePass}
	}
	return nil
}

// do sends a request and returns the line of its reply.
func (p *pinger) do(words []string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(p.conn, b.String()); err != nil {
		return "", err
	}
	line, err := p.in.ReadString('\n')
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "", fmt.Errorf("no answer within %v", pingTimeout)
	case err != nil:
		return "", fmt.Errorf("no answer: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch text, ok := strings.CutPrefix(line, "+"); {
	case ok:
		return text, nil
	case strings.HasPrefix(line, "-NOAUTH"):
		return "", fmt.Errorf("the server wants a login: set requirepass or %s", PingAuth)
	case strings.HasPrefix(line, "-"):
		return "", errors.New(line[1:])
	default:
		return "", errors.New("this is no server of Redis's protocol")
	}
}

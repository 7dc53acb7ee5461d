package commands

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// A connection that is opened while a busy script has its turn is accepted, read and answered in the turn of the other clients
// that follows.
func TestBusyAnswersInOneTurn(t *testing.T) {
	turns, failure := 0, ""
	s := startServerWith(t, func(srv *Server) {
		give := srv.busy.slow
		srv.busy.slow = func() { // on the loop's thread, which serves nobody meanwhile
			if turns++; turns > 20 {
				srv.scripts.engine.Kill(errKilled)
				return
			}
			c, err := net.Dial("unix", srv.Config.UnixSocket)
			if err == nil {
				defer c.Close()
				_, err = c.Write([]byte("GET k\r\n"))
			}
			if err != nil {
				failure = err.Error()
				return
			}
			give()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if line, err := bufio.NewReader(c).ReadString('\n'); line != "-"+errBusyScript+"\r\n" {
				failure += " turn " + line
				if err != nil {
					failure += err.Error()
				}
				srv.scripts.engine.Kill(errKilled)
			}
		}
	}, "busy-reply-threshold", "1")
	c := s.dial()
	c.send("EVAL \"while true do end\" 0\r\n")
	if got, err := c.r.ReadString('\n'); !strings.HasPrefix(got, "-ERR "+errKilled) {
		t.Errorf("the script ends with %q, %v", got, err)
	}
	if failure != "" {
		t.Errorf("after %d turns:%s", turns, failure)
	}
}

// Package web answers HTTP beside the loop: /metrics for Prometheus, and the read-only page at / with its JSON routes.
//
// # Design
//
// The package knows nothing of the server but a Source, which answers questions: it hands each to the loop, waits, and
// returns a copy of figures that nobody changes any more. Text and JSON are written here, in the goroutines of net/http. So a
// question costs the loop the copying of some numbers, and nothing at all while nobody asks: a Server that was told neither to
// listen nor to serve a connection has no goroutine.
//
// Connections come from two places. Listen binds metrics-port. Adopt takes a connection of the RESP port whose first bytes
// are a request, with these bytes. Both kinds go through admit, which keeps at most MaxConns: when there are as many, the
// oldest that is not being answered (slow to send its request, or kept alive without one) makes room for the new one, else
// the oldest whose peer does not read its answer, else the oldest that has been answered for longer than tooSlow, else the new
// one gets status 503. So a peer that opens connections and sends or reads nothing keeps nobody out.
//
// # Who may see what
//
// Only GET and HEAD are answered, and no route changes data. Each route stands for a command and needs the right to it
// (Question). A request is made by one of these:
//
//   - a user of the ACL, who sends name and password (HTTP Basic) or the cookie of a session;
//   - the scraper, who sends metrics-password, as the password of HTTP Basic or as a Bearer token. It reads /metrics, and
//     elsewhere it is nobody;
//   - nobody, who stands for the default user if that needs no password. On metrics-port nobody may do nothing where
//     metrics-password is set, and a user who needs no password may not either: its name would stand for metrics-password.
//
// A session begins with a GET of /api/login that carries HTTP Basic. Its cookie is random, HttpOnly and SameSite=Strict. There are
// at most maxSessions; one ends sessionIdle after its last request and sessionMost after its first, when its user is deleted, is
// switched off or has got another password, or with /api/logout. All paths below /api/ want pageHeader, so that the page of
// another site cannot ask for them with the password or the address of who looks at it.
//
// Where no login is needed, a page of another site could still reach the server under a name of its own (DNS rebinding). So
// nobody is answered under a host that is neither an address nor localhost, /metrics excepted, which has numbers only.
//
// What is answered is data: the page shows keys and values as text, and Content-Security-Policy lets it run its one script and
// talk to this server only.
package web

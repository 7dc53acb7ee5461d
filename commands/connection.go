package commands

var connectionCommands = []Command{
	{Name: "ping", Arity: -1, Flags: Fast, ACL: CatConnection, Handler: ping, Group: GroupConnection, Since: "1.0.0"},
}

func ping(c *Client) {
	if len(c.args) > 2 {
		c.error(errArity("ping"))
		return
	}
	if len(c.args) == 2 {
		c.w.Bulk(c.args[1])
		return
	}
	c.w.Status("PONG")
}

func (c *Client) info() string { return "" }

func (s *Server) clientsMemory() int { return 0 }

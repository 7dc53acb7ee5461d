//go:build invariants

package quicklist

import "fmt"

// Recount visits the whole list and returns an error if its counters are wrong.
func (l *List) Recount() error {
	c := recounter{}
	if l.nodes > 0 {
		c.node(l.head)
	}
	if l.root != nil {
		c.branch(l.root)
	}
	if l.tail != nil {
		c.node(l.tail)
	}
	if c.nodes != l.nodes || c.elems != l.Len() || c.bytes != l.bytes {
		return fmt.Errorf("quicklist: %d nodes, %d elements, %d bytes; counted %d, %d, %d",
			l.nodes, l.Len(), l.bytes, c.nodes, c.elems, c.bytes)
	}
	return c.err
}

// recounter has the counts of a walk so far.
type recounter struct {
	nodes, elems, bytes int
	err                 error // the first contradiction
}

func (c *recounter) node(n *node) {
	c.nodes++
	c.elems += int(n.count)
	c.bytes += n.memory()
	if !n.plain && !n.lzf {
		if got := n.pack().Len(); got != int(n.count) && c.err == nil {
			c.err = fmt.Errorf("quicklist: node of %d elements, counted %d", n.count, got)
		}
	}
}

func (c *recounter) branch(b *branch) {
	c.bytes += branchSize
	for i := range int(b.n) {
		nodes, elems := c.nodes, c.elems
		if b.level == 0 {
			c.node(b.node(i))
		} else {
			c.branch(b.sub(i))
		}
		if e, n := c.elems-elems, c.nodes-nodes; (e != b.elems[i] || n != int(b.nodes[i])) && c.err == nil {
			c.err = fmt.Errorf("quicklist: branch says %d elements in %d nodes, counted %d in %d", b.elems[i], b.nodes[i], e, n)
		}
	}
}

package table

// Stats describes how a table is filled.
type Stats struct {
	Pages     int // of the directory
	Directory int // entries of all pages
	Segments  int
	Buckets   int   // primary buckets
	Used      int   // primary buckets that hold records
	Reserve   int   // overflow buckets, in use or not
	Overflow  int   // overflow buckets in use
	Slots     int   // slots of all buckets
	Longest   int   // records in the fullest bucket with its overflow
	Chains    []int // Chains[n] is the number of buckets with n records, overflow included
}

// Stats visits every bucket.
func (t *Table) Stats() Stats {
	st := Stats{Pages: len(t.pages), Directory: t.entries}
	for p := range t.pages {
		st.add(&t.pages[p])
	}
	st.Slots = slots * (st.Buckets + st.Reserve)
	st.Longest = len(st.Chains) - 1
	return st
}

func (st *Stats) add(p *page) {
	for i := uint(0); i < uint(len(p.dir)); {
		s := p.dir[i]
		st.Segments++
		st.Buckets += 1 << s.bits
		st.Reserve += int(s.spare)
		for n := range uint(1) << s.bits {
			records, b := 0, s.bucket(n)
			for {
				for _, r := range b.slot {
					if r != nil {
						records++
					}
				}
				next := b.next()
				if next == 0 {
					break
				}
				st.Overflow++
				b = s.bucket(next)
			}
			if records > 0 {
				st.Used++
			}
			for len(st.Chains) <= records {
				st.Chains = append(st.Chains, 0)
			}
			st.Chains[records]++
		}
		_, n := p.run(i, s)
		i += n
	}
}

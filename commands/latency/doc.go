// Package latency holds what was slow: the slow log (SlowLog), which names commands, and the samples of latency monitoring
// (Monitor), which show by event how long the server was held up. Dispatch fills both; SLOWLOG and LATENCY show them.
package latency

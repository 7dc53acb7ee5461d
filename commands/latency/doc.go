// Package latency has the slow log (SlowLog), a log of slow commands, and the samples of latency monitoring (Monitor): for
// each event the times for which it blocked the server. Dispatch adds to both; SLOWLOG and LATENCY show them.
package latency

// Package crash ends a server that cannot go on. Before that it writes a report to the log, in the frame that tools look for in a Redis
// log: the stack, INFO, the clients, the running request and the configuration. There are three ways to it:
//
//   - a panic on the loop (eventloop hands it over with the stack that it happened on); a wrong memory access is one, too,
//     as Go makes a panic of it,
//   - a panic in a goroutine of ours, which runs under Reporter.Go,
//   - a signal that means a crash, sent from outside.
//
// The state belongs to the loop. Another goroutine asks the loop for it and does without it if the loop does not answer: the
// loop may be what hangs. What Go itself calls fatal (a map written by two goroutines, memory that cannot be had) cannot be caught; main sends
// the trace of such an end to the log file.
package crash

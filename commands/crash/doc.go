// Package crash ends a server that cannot continue. Before that it writes a report to the log, between the lines that tools
// search for in a Redis log: the stack, INFO, the clients, the running request and the configuration. It has three causes:
//
//   - a panic on the loop, which eventloop passes on with its stack; an invalid memory access is one, too, since Go turns it
//     into a panic,
//   - a panic in another goroutine of the server, which Reporter.Go has started,
//   - a signal of Signals, sent from outside.
//
// The server's state belongs to the loop. Another goroutine asks the loop for it; if the loop does not answer, since it may
// hang, the report has no state. Fatal errors of Go (two goroutines write a map, no memory) cannot be caught; main directs
// their traces to the log file.
package crash

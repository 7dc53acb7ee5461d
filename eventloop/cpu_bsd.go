//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package eventloop

const knowsThreads = false

func threadUsage() (thread int, t threadTime) { return 0, t }

package harness

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of the CPU times in /proc/PID/stat: USER_HZ, which is 100 on every Linux platform Go knows.
const ticksPerSecond = 100

// CPUTime returns the user and system CPU time that the process has used so far, with all its threads. It reads
// /proc/PID/stat (fields 14 and 15, proc(5)): Linux only, in steps of 10 ms.
func CPUTime(pid int) (user, system time.Duration, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The second field is the command in brackets and may hold blanks: count from its end.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: no command field", pid)
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	utime, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	stime, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	const tick = time.Second / ticksPerSecond
	return time.Duration(utime) * tick, time.Duration(stime) * tick, nil
}

// CPU returns the CPU time, user and system together, that the server has used so far.
func (s *Server) CPU() (time.Duration, error) {
	user, system, err := CPUTime(s.PID())
	return user + system, err
}

// StatusBytes returns a memory field of /proc/PID/status in bytes: "VmRSS" (resident now), "VmHWM" (highest resident).
func StatusBytes(pid int, field string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, field+":")
		if !ok {
			continue
		}
		number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if !ok {
			return 0, fmt.Errorf("/proc/%d/status: %q", pid, line)
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		return kib << 10, err
	}
	return 0, fmt.Errorf("/proc/%d/status has no field %s", pid, field)
}

// RSS returns the server's resident memory in bytes (VmRSS).
func (s *Server) RSS() (int64, error) { return StatusBytes(s.PID(), "VmRSS") }

// RaiseOpenFiles lets this process (and the servers it starts) open at least n descriptors, or says why it cannot.
func RaiseOpenFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if uint64(limit.Cur) >= n {
		return nil
	}
	return setOpenFiles(&limit, n)
}

// Ferrous is a Redis-compatible server: it takes redis-server's command line and configuration.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"

	"ferrous/commands"
	"ferrous/commands/check"
	"ferrous/commands/config"
	"ferrous/commands/crash"
	"ferrous/commands/logging"
	"ferrous/commands/process"
)

// version is set by the Makefile to what git describes.
var version = "unknown"

func main() {
	proc := process.Take() // first: it moves os.Args
	os.Exit(run(proc))
}

func run(proc *process.Process) int {
	var stdin bytes.Buffer // what of it is read, for the daemon
	inv, err := config.ParseArgs(os.Args, io.TeeReader(os.Stdin, &stdin),
		config.Options{RenameCommand: commands.RenameChecker(), User: commands.UserChecker()})
	switch inv.Mode {
	case config.ModeVersion:
		fmt.Println(commands.VersionLine(version))
		return 0
	case config.ModeHelp:
		usage()
		return 1
	case config.ModeCheckRDB, config.ModeCheckAOF:
		return check.File(inv.Mode, inv.ModeArgs)
	case config.ModeSentinel:
		fmt.Fprintln(os.Stderr, "Ferrous is no sentinel. Use redis-sentinel, which watches over Ferrous servers, too.")
		return 1
	case config.ModeTestMemory, config.ModeCheckSystem:
		fmt.Fprintln(os.Stderr, "Ferrous tests neither the memory nor the system; a tool such as memtester does.")
		return 1
	}
	var file *config.FileError
	switch {
	case inv.Mode == config.ModePing:
		if err != nil {
			fmt.Fprintln(os.Stderr, strings.TrimSuffix(err.Error(), "\n"))
			return 1
		}
		return check.Ping(os.Stdout, inv.Config, commands.TLSSettings(inv.Config))
	case errors.As(err, &file):
		logging.New(commands.LogOptions(inv.Config)).Log(logging.Warning, err.Error())
		return 1
	case err != nil:
		fmt.Fprint(os.Stderr, err)
		return 1
	}
	cfg := inv.Config
	log := logging.New(commands.LogOptions(cfg))
	commands.Supervise(cfg, proc, log)
	background := cfg.Daemonize && proc.Supervisor() == process.Nobody
	if background && !proc.Daemon() {
		if err := proc.Daemonize(stdin.Bytes()); err != nil {
			log.Logf(logging.Warning, "%v", err)
			return 1
		}
		return 0
	}
	if proc.Daemon() && stdin.Len() > 0 {
		if err := process.CloseStdin(); err != nil {
			log.Logf(logging.Warning, "Standard input stays open: %v", err)
		}
	}
	if err := cfg.EnterDir(); err != nil {
		log.Logf(logging.Warning, "Can't chdir to '%s': %v", cfg.Dir, err)
		return 1
	}
	log.SetFile(cfg.LogFile) // which now follows the working directory
	logStart(log, cfg, inv.NoConfig)
	if background && cfg.PidFile == "" {
		cfg.PidFile = process.DefaultPIDFile
	}
	if cfg.PidFile != "" {
		if err := process.WritePIDFile(cfg.Path(cfg.PidFile)); err != nil {
			log.Logf(logging.Warning, "Failed to write PID file: %v", err)
		}
	}
	logBanner(log, cfg)
	server, err := commands.New(cfg, log)
	if err != nil {
		log.Logf(logging.Warning, "%v", err)
		return 1
	}
	server.UseProcess(proc)
	spareProcessors()
	watchSignals(server, cfg, log)
	defer profile(log)()
	if err := server.Serve(); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			log.Logf(logging.Warning, "Failed listening on port %d (tcp), aborting.", cfg.Port)
		}
		log.Logf(logging.Warning, "%v", err)
		return 1
	}
	return server.ExitCode()
}

// spareProcessors sees to it that the loop need not wait for goroutines that compute: the writer of a snapshot and the
// collector's worker. Go lets each of them run for 10 ms before it gives its processor to the loop; where there are as many
// as goroutines that want to run, the kernel shares the cores out instead, and prefers who has slept. (Worst of a paced
// client's requests during BGSAVE of a hash of 5 million fields on two cores: 47 ms with two processors, 9 with three, 5
// with four; on one core 27 with one and 5 with three. CPU a request is the same.) The environment's GOMAXPROCS is left as
// it is.
func spareProcessors() {
	const least = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < least {
		runtime.GOMAXPROCS(least)
	}
}

// profile writes a CPU profile of the whole run to the file that FERROUS_CPUPROFILE names, for go tool pprof and for
// default.pgo. It returns what ends it.
func profile(log *logging.Logger) (stop func()) {
	path := os.Getenv("FERROUS_CPUPROFILE")
	if path == "" {
		return func() {}
	}
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		log.Logf(logging.Warning, "No CPU profile: %v", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}
}

func usage() {
	fmt.Fprint(os.Stderr, `Usage: ferrous [/path/to/redis.conf] [options] [-]
       ferrous - (read the configuration from standard input)
       ferrous --check-rdb <file>
       ferrous --check-aof [--fix|--truncate-to-timestamp <unix second>] <file.manifest|file.aof>
       ferrous --ping [/path/to/redis.conf] [options]
       ferrous -v or --version
       ferrous -h or --help

Options are directives of the configuration file with two dashes before the name:
       ferrous /etc/redis/redis.conf --port 7777 --loglevel verbose
`)
}

func logStart(log *logging.Logger, cfg *config.Config, defaults bool) {
	log.Log(logging.Notice, "oO0OoO0OoO0Oo Ferrous is starting oO0OoO0OoO0Oo")
	log.Logf(logging.Notice, "Ferrous version=%s, bits=64, commit=%s, compatible with Redis %s, pid=%d, just started",
		commands.Version, version, commands.RedisVersion, os.Getpid())
	if defaults {
		log.Logf(logging.Warning, "Warning: no config file specified, using the default config. In order to specify a config file use %s /path/to/redis.conf", os.Args[0])
	} else {
		log.Log(logging.Notice, "Configuration loaded")
	}
}

func logBanner(log *logging.Logger, cfg *config.Config) {
	if cfg.AlwaysShowLogo {
		log.Raw(logging.Notice, commands.Logo(cfg.Port))
	} else {
		log.Logf(logging.Notice, "Running mode=standalone, port=%d. PID: %d", cfg.Port, os.Getpid())
	}
}

// crashOutput has the trace of an end that nobody can catch written to the log file besides standard error.
func crashOutput(cfg *config.Config) error {
	if cfg.LogFile == "" {
		return nil
	}
	f, err := os.OpenFile(cfg.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	return debug.SetCrashOutput(f, debug.CrashOptions{})
}

// watchSignals shuts the server down on SIGTERM and SIGINT; a SIGINT during the shutdown ends the process at once. SIGHUP
// reopens the log file. Signals of crashes bring a report.
func watchSignals(server *commands.Server, cfg *config.Config, log *logging.Logger) {
	reopen := func() {
		log.Reopen()
		if err := crashOutput(cfg); err != nil {
			log.Logf(logging.Warning, "Crashes are not written to the log file: %v", err)
		}
	}
	reopen()
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Notify(ch, crash.Signals...)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		for sig := range ch {
			switch sig {
			case syscall.SIGHUP:
				reopen()
			case syscall.SIGINT:
				if server.Terminate("SIGINT") {
					log.Log(logging.Warning, "You insist... exiting now.")
					server.Abandon()
					os.Exit(1)
				}
			case syscall.SIGTERM:
				server.Terminate("SIGTERM")
			default:
				server.CrashBy(sig.(syscall.Signal))
			}
		}
	}()
}

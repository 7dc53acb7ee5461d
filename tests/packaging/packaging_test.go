// Package packaging tests what an operator installs: the Debian package, the container image's root, the release, man pages
// and completions, and the example for Kubernetes.
//
// Installing needs root. testdata/throwaway.sh makes a copy of the machine in a mount namespace whose changes lie in memory,
// so that a package can be installed, upgraded and purged without a trace.
package packaging

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"ferrous/tests/harness"
)

// built is the folder of the packages that the tests share.
var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// packages returns the folder of old.deb and new.deb, the same sources as two versions.
func packages(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the packages are for Linux")
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "ferrous-deb-"); built.err != nil {
			return
		}
		for version, file := range map[string]string{"0.1.0~1-1": "old.deb", "0.1.0~2-1": "new.deb"} {
			if built.err = build(filepath.Join(built.dir, file), version); built.err != nil {
				return
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func build(file, version string) error {
	cmd := exec.Command("packaging/deb/build.sh", version, file)
	cmd.Env = append(os.Environ(), "ARCH="+runtime.GOARCH)
	var err error
	if cmd.Dir, err = harness.ModuleRoot(); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New("packaging/deb/build.sh: " + err.Error() + "\n" + string(out))
	}
	return nil
}

// run runs a command and returns its output. Its failure is the test's.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// throwaway runs a script of testdata in a copy of the machine, with files beside it.
func throwaway(t *testing.T, script string, files ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: installing a package needs root")
	}
	if out, err := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this root may not make namespaces: %s", bytes.TrimSpace(out))
	}
	args := []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "testdata/throwaway.sh", filepath.Join("testdata", script),
		"testdata/service.sh"}
	out, err := exec.Command("unshare", append(args, files...)...).CombinedOutput()
	if err != nil || !bytes.HasSuffix(out, []byte("== done\n")) {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// The package installs, starts, keeps data and configuration over an upgrade and a removal, and is purged as it says.
func TestDebianPackage(t *testing.T) {
	dir := packages(t)
	throwaway(t, "install.sh", filepath.Join(dir, "old.deb"), filepath.Join(dir, "new.deb"))
}

// lintian finds no error, and the package holds nothing but what it should.
func TestDebianPackageIsInOrder(t *testing.T) {
	deb := filepath.Join(packages(t), "new.deb")
	t.Log(run(t, "lintian", "--fail-on", "error", "--allow-root", deb))
	for line := range strings.Lines(run(t, "dpkg-deb", "--contents", deb)) {
		fields := strings.Fields(line)
		if fields[1] != "root/root" {
			t.Errorf("not of root: %s", line)
		}
		if path := strings.TrimPrefix(fields[5], "."); !strings.HasPrefix(path, "/usr/") && !strings.HasPrefix(path, "/etc/") &&
			path != "/var/lib/ferrous/" && path != "/var/log/ferrous/" && !strings.HasPrefix("/var/lib/", path) && !strings.HasPrefix("/var/log/", path) &&
			path != "/usr/" && path != "/etc/" {
			t.Errorf("in an unexpected place: %s", line)
		}
	}
	if got := run(t, "dpkg-deb", "--field", deb, "Package", "Version"); got != "Package: ferrous\nVersion: 0.1.0~2-1\n" {
		t.Error(got)
	}
}

// The same sources give the same package, to the byte.
func TestReproducible(t *testing.T) {
	dir := packages(t)
	again := filepath.Join(t.TempDir(), "again.deb")
	if err := build(again, "0.1.0~2-1"); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(dir, "new.deb"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(again); err != nil || !bytes.Equal(a, b) {
		t.Errorf("two builds differ (%v)", err)
	}
}

// The image's root: nothing but a static binary, read-only, an unprivileged user.
func TestContainerRoot(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "packaging/container/Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	// What testdata/container.sh does by hand.
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "WORKDIR /data", "VOLUME /data", `ENTRYPOINT ["/ferrous"]`,
		"COPY --from=build --chown=65532:65532 /out/data /data"} {
		if !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			t.Errorf("the Containerfile lacks %q", line)
		}
	}
	if !strings.Contains(string(text), `CMD ["/ferrous", "--ping"]`) {
		t.Error("the Containerfile lacks the health check")
	}
	bin := filepath.Join(t.TempDir(), "ferrous")
	cmd := exec.Command("packaging/build.sh", "linux", runtime.GOARCH, bin, "image")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packaging/build.sh: %v\n%s", err, out)
	}
	throwaway(t, "container.sh", bin)
}

// The man pages have no fault that mandoc or man(1) would warn of.
func TestManPages(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"ferrous.1", "ferrous.conf.5"} {
		path := filepath.Join(root, "packaging/man", page)
		if out := run(t, "mandoc", "-T", "lint", "-W", "warning", path); out != "" {
			t.Errorf("mandoc: %s", out)
		}
		cmd := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", path)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANPAGER=cat", "MANWIDTH=80")
		var warnings bytes.Buffer
		cmd.Stderr = &warnings
		if out, err := cmd.Output(); err != nil || warnings.Len() > 0 || len(out) < 10_000 {
			t.Errorf("man %s: %v, %d bytes\n%s", page, err, len(out), &warnings)
		}
	}
}

// bash offers the options of the server and the values of switches.
func TestBashCompletion(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	script := `. packaging/completion/ferrous.bash
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _ferrous; echo "${COMPREPLY[@]}"; }
try ferrous --appendf
try ferrous --appendfsync ""
try ferrous --pi
try ferrous --check-aof --fi`
	cmd := exec.Command("bash", "-eu", "-c", script)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if want := "--appendfilename --appendfsync\neverysec always no\n--ping --pidfile\n--fix\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

// A release: static binaries for both architectures, checksums, what they were made of, licences; twice the same. Building for another
// architecture takes minutes where nothing is in Go's cache, so it is a test of make stress.
func TestRelease(t *testing.T) {
	if !harness.Stress() {
		t.Skip("make stress runs this")
	}
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var folders [2]string
	for i := range folders {
		folders[i] = filepath.Join(t.TempDir(), "release")
		cmd := exec.Command("packaging/release.sh", "v1", folders[i])
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("packaging/release.sh: %v\n%s", err, out)
		}
	}
	sums := run(t, "sh", "-c", "cd "+folders[0]+" && sha256sum --check --strict SHA256SUMS")
	if n := strings.Count(sums, ": OK\n"); n != 5 {
		t.Errorf("SHA256SUMS has %d files: %s", n, sums)
	}
	entries, err := os.ReadDir(folders[0])
	if err != nil || len(entries) != 6 {
		t.Fatalf("%v: %v", entries, err)
	}
	for _, e := range entries {
		a, err := os.ReadFile(filepath.Join(folders[0], e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(folders[1], e.Name())); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs (%v)", e.Name(), err)
		}
		switch {
		case strings.HasSuffix(e.Name(), ".cdx.json"):
			for _, module := range []string{"github.com/tidwall/evio", "github.com/yuin/gopher-lua", "golang.org/x/sys"} {
				if !bytes.Contains(a, []byte(`"name": "`+module+`"`)) {
					t.Errorf("%s lacks %s", e.Name(), module)
				}
			}
		case e.Name() == "LICENCES":
			for _, part := range []string{"Permission is hereby granted", "The Go Authors", "\ngithub.com/tidwall/evio:\n", "\ngithub.com/yuin/gopher-lua:\n"} {
				if !bytes.Contains(a, []byte(part)) {
					t.Errorf("%s lacks %q", e.Name(), part)
				}
			}
		case e.Name() != "SHA256SUMS":
			f, err := elf.NewFile(bytes.NewReader(a))
			if err != nil {
				t.Fatal(e.Name(), err)
			}
			if want := map[bool]elf.Machine{true: elf.EM_X86_64, false: elf.EM_AARCH64}[strings.HasSuffix(e.Name(), "amd64")]; f.Machine != want {
				t.Errorf("%s is for %v", e.Name(), f.Machine)
			}
			if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 {
				t.Errorf("%s wants the libraries %v (%v)", e.Name(), libs, err)
			}
		}
	}
}

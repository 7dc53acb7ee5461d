package lua

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestAnswers runs the scripts of testdata and compares their replies with those of redis-server 7.0.15. Each line of a file
// is a script, a tab, and the reply as Go quotes it; {sha} stands for the script's SHA1.
func TestAnswers(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			e := New(newServer())
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<20)
			n := 0
			for lines.Scan() {
				script, quoted, ok := strings.Cut(lines.Text(), "\t")
				want, err := strconv.Unquote(quoted)
				if !ok || err != nil {
					t.Fatalf("%q: %v", lines.Text(), err)
				}
				if got := eval(e, script, false); got != want {
					t.Errorf("%s\n got %.300q\nwant %.300q", script, got, want)
				}
				n++
			}
			if err := lines.Err(); err != nil || n < 100 {
				t.Errorf("%d scripts, %v", n, err)
			}
		})
	}
}

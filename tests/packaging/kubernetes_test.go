package packaging

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ferrous/commands/config"
	"ferrous/tests/harness"
)

// node is a value in a document of YAML, for asking one step after the other. What is not there is a node of nothing.
type node struct{ v any }

func (n node) at(path ...any) node {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := n.v.(map[string]any)
			n = node{m[step]}
		case int:
			list, _ := n.v.([]any)
			if step >= len(list) {
				return node{}
			}
			n = node{list[step]}
		}
	}
	return n
}

// The example for Kubernetes is YAML, what it names fits together, and it gives the server no right that it does not need.
func TestKubernetes(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "packaging/kubernetes/ferrous.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]node{}
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc map[string]any
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n := node{doc}
		kinds[n.at("kind").v.(string)] = n
		if n.at("metadata", "name").v != "ferrous" {
			t.Errorf("%v has another name", n.at("kind").v)
		}
	}
	set, service := kinds["StatefulSet"], kinds["Service"]
	pod := set.at("spec", "template", "spec")
	c := pod.at("containers", 0)
	for _, want := range []struct {
		what string
		got  node
		is   any
	}{
		{"serviceName", set.at("spec", "serviceName"), service.at("metadata", "name").v},
		{"selector", set.at("spec", "selector", "matchLabels", "app"), set.at("spec", "template", "metadata", "labels", "app").v},
		{"selector of the service", service.at("spec", "selector", "app"), set.at("spec", "template", "metadata", "labels", "app").v},
		{"port", service.at("spec", "ports", 0, "targetPort"), c.at("ports", 0, "name").v},
		{"runAsNonRoot", pod.at("securityContext", "runAsNonRoot"), true},
		{"runAsUser", pod.at("securityContext", "runAsUser"), 65532},
		{"fsGroup", pod.at("securityContext", "fsGroup"), 65532},
		{"seccompProfile", pod.at("securityContext", "seccompProfile", "type"), "RuntimeDefault"},
		{"automountServiceAccountToken", pod.at("automountServiceAccountToken"), false},
		{"allowPrivilegeEscalation", c.at("securityContext", "allowPrivilegeEscalation"), false},
		{"readOnlyRootFilesystem", c.at("securityContext", "readOnlyRootFilesystem"), true},
		{"capabilities", c.at("securityContext", "capabilities", "drop", 0), "ALL"},
		{"liveness", c.at("livenessProbe", "tcpSocket", "port"), "redis"},
		{"startup", c.at("startupProbe", "tcpSocket", "port"), "redis"},
		{"data", c.at("volumeMounts", 0, "mountPath"), "/data"},
		{"claim", set.at("spec", "volumeClaimTemplates", 0, "metadata", "name"), c.at("volumeMounts", 0, "name").v},
	} {
		if want.got.v == nil || want.got.v != want.is {
			t.Errorf("%s is %v, want %v", want.what, want.got.v, want.is)
		}
	}
	if probe, _ := c.at("readinessProbe", "exec", "command").v.([]any); !slices.Equal(probe, []any{"/ferrous", "--ping", "/etc/ferrous/ferrous.conf"}) {
		t.Errorf("the readiness probe is %v", probe)
	}
	if c.at("resources", "limits", "memory").v == nil {
		t.Error("no limit of memory, which maxmemory is a part of")
	}
	conf, _ := kinds["ConfigMap"].at("data", "ferrous.conf").v.(string)
	cfg := config.New()
	if err := cfg.LoadString(strings.ReplaceAll(conf, "dir /data", "dir "+t.TempDir())); err != nil || !cfg.AppendOnly || cfg.MaxMemoryPercent != 70 {
		t.Errorf("the configuration: %v\n%s", err, conf)
	}
}

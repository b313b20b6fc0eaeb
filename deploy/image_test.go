package deploy_test

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// readDockerfile returns the stages of a Dockerfile, each beginning with its FROM.
func readDockerfile(t *testing.T, path string) [][]instruction {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields("FROM WORKDIR COPY RUN USER VOLUME EXPOSE ENV ENTRYPOINT CMD LABEL ARG")
	var stages [][]instruction
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if !contains(known, name) {
			t.Fatalf("%s: not an instruction: %s", path, line)
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 {
			t.Fatalf("%s begins with %s", path, name)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, args})
	}
	return stages
}

// last returns the last instruction of that name in a stage.
func last(stage []instruction, name string) string {
	found := ""
	for _, in := range stage {
		if in.name == name {
			found = in.args
		}
	}
	return found
}

func TestDockerfile(t *testing.T) {
	stages := readDockerfile(t, "Dockerfile")
	if len(stages) != 2 {
		t.Fatalf("%d stages, want one that builds and one that runs", len(stages))
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	if got := last(stages[0], "FROM"); got != "golang:"+string(release)+" AS build" {
		t.Errorf("FROM %s, and go.mod is of Go %s", got, release)
	}
	if got := last(stages[1], "FROM"); got != "scratch" {
		t.Errorf("FROM %s, want scratch", got)
	}
	if user := last(stages[1], "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s: scratch knows no names, and root is not needed", user)
	}
	if got := last(stages[1], "VOLUME"); got != "/data" {
		t.Errorf("VOLUME %s, want /data", got)
	}
	for _, in := range stages[0] {
		if in.name != "COPY" {
			continue
		}
		for _, src := range strings.Fields(in.args)[:len(strings.Fields(in.args))-1] {
			if _, err := os.Stat(filepath.Join("..", src)); err != nil {
				t.Errorf("COPY %s: %v", src, err)
			}
		}
	}
}

// The image's own build line, and then its program under the image's environment and command.
func TestImageRuns(t *testing.T) {
	stages := readDockerfile(t, "Dockerfile")
	out := t.TempDir()
	built := false
	for _, in := range stages[0] {
		if in.name != "RUN" || !strings.Contains(in.args, "go build") {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(in.args, "/out/", out+"/"))
		cmd.Dir = ".."
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", in.args, err, text)
		}
		built = true
	}
	if !built {
		t.Fatal("the Dockerfile builds nothing")
	}
	for _, name := range []string{"todod", "todo"} {
		f, err := elf.Open(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s is not static: nothing in scratch could load it", name)
			}
		}
		f.Close()
	}
	var entry, args []string
	for name, into := range map[string]*[]string{"ENTRYPOINT": &entry, "CMD": &args} {
		if err := json.Unmarshal([]byte(last(stages[1], name)), into); err != nil {
			t.Fatalf("%s is no JSON: %v", name, err)
		}
	}
	here := moved{t: t, data: t.TempDir(), addrs: map[string]string{}}
	env := here.all(strings.Fields(last(stages[1], "ENV")))
	r := start(t, env, "", filepath.Join(out, strings.TrimPrefix(entry[0], "/")), append(entry[1:], args...)...)
	waitReady(t, here.addr("0.0.0.0:5454"))
	r.term()
}

// moved puts what a container has to itself on this machine: /data, and each address.
type moved struct {
	t     *testing.T
	data  string
	addrs map[string]string // of the container network, to here
}

var containerAddr = regexp.MustCompile(`[a-z0-9.]+:[57]454`)

func (m moved) addr(a string) string {
	if m.addrs[a] == "" {
		m.addrs[a] = freeAddr(m.t)
	}
	return m.addrs[a]
}

func (m moved) all(args []string) []string {
	var here []string
	for _, arg := range args {
		arg = strings.ReplaceAll(arg, "/data", m.data)
		here = append(here, containerAddr.ReplaceAllStringFunc(arg, m.addr))
	}
	return here
}

type compose struct {
	Name     string             `yaml:"name"`
	Node     service            `yaml:"x-node"`
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Image       string            `yaml:"image"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Restart     string            `yaml:"restart"`
	Grace       string            `yaml:"stop_grace_period"`
	Healthcheck struct {
		Test     []string `yaml:"test"`
		Interval string   `yaml:"interval"`
		Timeout  string   `yaml:"timeout"`
		Retries  int      `yaml:"retries"`
		Start    string   `yaml:"start_period"`
	} `yaml:"healthcheck"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	f, err := os.Open("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c compose
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return c
}

func TestCompose(t *testing.T) {
	c := readCompose(t)
	if len(c.Services) != 3 {
		t.Fatalf("%d services, want three nodes", len(c.Services))
	}
	for name, s := range c.Services {
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range s.Ports {
			if host, _, _ := net.SplitHostPort(p[:strings.LastIndex(p, ":")]); host != "127.0.0.1" {
				t.Errorf("%s publishes %s to more than this machine", name, p)
			}
		}
		volume, path, _ := strings.Cut(s.Volumes[0], ":")
		if _, declared := c.Volumes[volume]; !declared || volume != name || path != "/data" {
			t.Errorf("%s: volume %s", name, s.Volumes[0])
		}
	}
}

// Three nodes under the flags and the environment of the compose file and the image, and the
// health check of each.
func TestComposeRuns(t *testing.T) {
	c := readCompose(t)
	image := strings.Fields(last(readDockerfile(t, "Dockerfile")[1], "ENV"))
	addrs := map[string]string{} // shared: names mean the same to all nodes
	checks := map[string][]string{}
	for name, s := range c.Services {
		// What a node binds is what the others know by its name.
		here := moved{t: t, data: filepath.Join(t.TempDir(), name), addrs: addrs}
		for _, port := range []string{":5454", ":7454"} {
			addrs["0.0.0.0"+port] = here.addr(name + port)
		}
		addrs["127.0.0.1:5454"] = here.addr(name + ":5454")
		env := here.all(image)
		for k, v := range s.Environment {
			env = append(env, here.all([]string{k + "=" + v})...)
		}
		start(t, env, "", program(t, "todod"), here.all(s.Command)...)
		checks[name] = here.all(s.Healthcheck.Test)
	}
	for name := range c.Services {
		waitReady(t, addrs[name+":5454"])
	}
	for name, check := range checks {
		if check[0] != "CMD" || check[1] != "/todod" {
			t.Fatalf("%s: the image has no %v", name, check)
		}
		if out, err := exec.Command(program(t, "todod"), check[2:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: the health check of a healthy node: %v\n%s", name, err, out)
		}
	}
	for name := range c.Services {
		addr := addrs[name+":5454"]
		out, err := exec.Command(program(t, "todod"), "members", "--server", addr, "--output", "json").Output()
		for other := range c.Services {
			if err != nil || !strings.Contains(string(out), fmt.Sprintf("%q", other)) {
				t.Errorf("%s does not list %s: %v\n%s", name, other, err, out)
			}
		}
	}
	// Nobody is there: a health check that says so is what makes it one.
	if err := exec.Command(program(t, "todod"), "status", "--server", freeAddr(t)).Run(); err == nil {
		t.Error("the health check of a node that is not there passed")
	}
}

# The menu: `make` prints it. `make check` is exactly what CI runs.

# Tools are pinned here and fetched by go, so that a machine with Go and make needs nothing else.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

HTTP     ?= $(or $(TODOD_HTTP),127.0.0.1:5454)
FUZZTIME ?= 1s
SHORT    ?= -short
SEED     ?= 0
DURATION ?= 2h
SOAK     ?= bin/soak.html
# What the tests print is worth reading only where one fails.
GOTEST   = go test -timeout 14m
# The two that take longest come first: one computes in virtual time, the other mostly waits for processes.
PACKAGES = ./server ./cmd/todod ./...

.PHONY: help run demo test race fuzz golden lint bench targets chaos soak versus planted client check build man pictures clean
.DEFAULT_GOAL := help

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name does; do printf '%-15s %s\n' "$$name" "$$does"; done

run: build ## build, start one node in ./data and print lines to try
	@echo
	@echo "One node, until Ctrl-C. In another terminal:"
	@echo "  curl -d '' 'http://$(HTTP)/add_entry?list=bob&date=2018-12-19&title=Dentist'"
	@echo "  curl 'http://$(HTTP)/entries?list=bob&date=2018-12-19'"
	@echo "  bin/todo add bob Groceries --date 2018-12-20 --server $(HTTP)"
	@echo "  bin/todo ls bob --server $(HTTP)"
	@echo "  bin/todod status --server $(HTTP)"
	@echo
	@exec bin/todod serve

demo: build ## kill the leader of three real nodes and count what is left
	@bin/todod demo

test: ## all tests, real processes among them
	$(GOTEST) $(PACKAGES)
	$(GOTEST) -tags next ./fsm

# The race detector needs a C compiler. Under CI a missing one is a failure, elsewhere a line.
race: ## all tests under the race detector, the long ones trimmed (SHORT= for all)
	@if command -v "$$(go env CC)" >/dev/null; then \
		set -x; CGO_ENABLED=1 $(GOTEST) -race $(SHORT) $(PACKAGES); \
	else \
		echo "race: left out, for there is no C compiler ($$(go env CC))"; [ "$(CI)" != true ]; \
	fi

# Each package is linked once: that takes longer than a second of fuzzing. Where the time ends in the middle of an input
# the fuzzer of Go may take that for a failure, without one that it would write down: then it is done once more.
fuzz: ## each fuzz target for FUZZTIME (1s)
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; cache=$$(go env GOCACHE)/fuzz; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		go test -c -fuzz . -o "$$tmp/fuzz" $$dir; \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do \
			echo "fuzz $$dir $$target"; \
			fuzz() { ( cd $$dir && "$$tmp/fuzz" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$cache/$$dir" ) >"$$tmp/out" 2>&1; }; \
			fuzz || { grep -q 'context deadline exceeded' "$$tmp/out" && ! grep -q 'Failing input' "$$tmp/out" && fuzz; } || { cat "$$tmp/out"; exit 1; }; \
			tail -n 2 "$$tmp/out"; \
		done; \
	done

# The golden files of a release stand for it in the tests of all later ones: made once, never changed.
golden: ## the golden files of RELEASE, which pin its log, its replica and their hashes
	@[ -n "$(RELEASE)" ] || { echo "give it a name: make golden RELEASE=v1"; exit 2; }
	GOLDEN=$(RELEASE) go test ./fsm -count=1 -run '^TestGolden'

lint: ## vet, staticcheck, a tidy go.mod and the rules of the house
	go vet ./...
	go vet -tags next ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	go test ./deploy/lint

# A few seconds of each benchmark that guards what todod is measured by. RECORD=1 takes them as
# the ones to compare with.
bench: ## the benchmarks that guard speed, against those recorded
	go run ./deploy/bench $(if $(RECORD),-record)

# Some ten minutes on a quiet machine; ROWS=9,17 picks some of them.
targets: ## what starts, restarts, faults, memory and idling cost on real nodes
	go run ./deploy/targets $(if $(ROWS),-rows $(ROWS))

# The promise, on real processes: faults, load, checkers (go run ./deploy/chaos -list). SEED=n makes the same
# faults again.
chaos: ## a minute of faults on real processes under load, all answers checked
	go run ./deploy/chaos -seed $(SEED) -for 60s -part 45

soak: ## the same for DURATION (2h), with a page at the end, SOAK (bin/soak.html)
	@mkdir -p $(dir $(SOAK))
	go run ./deploy/chaos -seed $(SEED) -for $(DURATION) -part 150 -page $(SOAK)

# A module of its own: etcd is fetched only for this.
versus: build ## todod beside etcd on this machine, in turns
	cd deploy/versus && go run . -todod ../../bin/todod

# Bugs that the checkers must find: a checker that finds nothing proves little.
planted: ## plant bugs, one at a time, and see that each is found
	go run ./deploy/planted

# A module of its own: the generator is fetched only for this; where it cannot be, a line says so.
client: build ## a client generated from /openapi.json compiles and works
	cd deploy/client && go run . -todod ../../bin/todod

check: lint test race client fuzz chaos ## what CI runs: lint, test, race, client, fuzz, chaos

build: ## bin/todod and bin/todo, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

man: build ## the manual pages of both programs, in bin/man
	@bin/todo man bin/man && bin/todod man bin/man && ls bin/man

# In a real terminal, so it needs tmux. The same programs make the same pictures.
pictures: build ## the pictures of the README, taken of todo and todo ui
	go run ./deploy/pictures

clean: ## take away bin and the test cache; ./data stays
	rm -rf bin
	go clean -testcache

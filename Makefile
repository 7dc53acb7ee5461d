# Ferrous: build, run, check. `make help` lists the targets.

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
PORT        ?= 6379
ARGS        ?=
# T is the time that make fuzz gives to each fuzz target, PKG the packages it looks in.
T           ?= 60s
PKG         ?= ./...
# ONLY and BENCH are handed to the bench: make bench ONLY=cpu,mem BENCH='-rounds 3'
ONLY        ?=
BENCH       ?=

.PHONY: all build run help deps-test deps-race test race race-short lint fuzz bench stress clean FORCE

all: build

build: ferrous ## build ./ferrous

# Go decides by itself what has to be compiled again, so the target is always run.
ferrous: FORCE
	$(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o $@ .

run: build ## build and serve on port 6379 (PORT=, ARGS= to change)
	./ferrous --port $(PORT) $(ARGS)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 14

deps-test: ## install redis-server, redis-tools and chromium (apt-get) where they are missing
	@./tests/install-deps.sh redis-server redis-cli redis-benchmark chromium

deps-race:
	@./tests/install-deps.sh cc

test: deps-test ## unit, comparison and integration tests (the comparison is with redis-server)
	$(GO) test -count=1 -timeout 30m ./...

race: deps-test deps-race ## the same under the race detector; servers are built with it, and check their counters
	FERROUS_INVARIANTS=1 CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 30m ./...

race-short: deps-race ## the race detector over the packages with goroutines and snapshots, short
	CGO_ENABLED=1 $(GO) test -race -short -count=1 -timeout 10m ./eventloop/... ./aof ./rdb/... ./datatypes/...

lint: ## gofmt, vet, staticcheck, import floors, builds for macOS and FreeBSD
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags invariants,seeded ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 ./tests/floors
	GOOS=darwin CGO_ENABLED=0 $(GO) build -o /dev/null ./...
	GOOS=freebsd CGO_ENABLED=0 $(GO) build -o /dev/null ./...

fuzz: ## run every fuzz target for T (make fuzz T=60s PKG=./eventloop/...)
	@./tests/fuzz.sh '$(T)' $(PKG)

bench: deps-test ## compare with redis-server: CPU, memory, latency, expiry (ONLY=cpu,mem,...)
	$(GO) run ./tests/bench $(if $(ONLY),-only $(ONLY)) $(BENCH)

stress: deps-test ## the long form of the model, comparison and integration tests
	FERROUS_STRESS=1 RAPID_CHECKS=5000 $(GO) test -count=1 -timeout 3h ./...

clean: ## remove what make built
	rm -f ferrous ferrous-race

FORCE:

# Ferrous: build, run, check. `make help` lists the targets.

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
PORT        ?= 6379
ARGS        ?=
# DEB_VERSION is the version of the Debian package: that of the sources, which no tag has, sorts before the release.
DEB_VERSION ?= 0.2.0~$(shell git rev-list --count HEAD 2>/dev/null || echo 0)-1
ARCH        ?= amd64
# T is the time that make fuzz gives to each fuzz target, PKG the packages it looks in.
T           ?= 60s
PKG         ?= ./...
# ONLY and BENCH are handed to the bench: make bench ONLY=cpu,mem BENCH='-rounds 3'
ONLY        ?=
BENCH       ?=

.PHONY: all build run help docs deb release pgo deps-test deps-race test race race-short lint fuzz bench stress clean FORCE

all: build

# Building the server with default.pgo compiles every package for it; what is no server is built without (-pgo=off).
build: ferrous ## build ./ferrous

# Go decides by itself what has to be compiled again, so the target is always run.
ferrous: FORCE
	$(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o $@ .

run: build ## build and serve on port 6379 (PORT=, ARGS= to change)
	./ferrous --port $(PORT) $(ARGS)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 14

docs: ## write the man pages and shell completions anew from the tables
	$(GO) run ./packaging/mkdocs

deb: ## build the Debian package build/ferrous_VERSION_ARCH.deb (DEB_VERSION=, ARCH=amd64 or arm64)
	@mkdir -p build
	ARCH=$(ARCH) GO=$(GO) ./packaging/deb/build.sh $(DEB_VERSION) build/ferrous_$(DEB_VERSION)_$(ARCH).deb

release: ## build static binaries of linux/amd64 and linux/arm64, their checksums and SBOM in build/release
	GO=$(GO) ./packaging/release.sh $(VERSION) build/release

deps-test: ## install what the tests need (apt-get) where it is missing: redis-server, redis-tools, chromium, lintian, mandoc, ...
	@./tests/install-deps.sh redis-server redis-cli redis-benchmark lintian mandoc man ip logrotate adduser openssl curl chromium

deps-race:
	@./tests/install-deps.sh cc

test: deps-test ## unit, comparison and integration tests (the comparison is with redis-server)
	$(GO) test -pgo=off -count=1 -timeout 30m ./...

race: deps-test deps-race ## the same under the race detector; servers are built with it, and check their counters
	FERROUS_INVARIANTS=1 CGO_ENABLED=1 $(GO) test -pgo=off -race -count=1 -timeout 30m ./...

race-short: deps-race ## the race detector over the packages with goroutines and snapshots, short
	CGO_ENABLED=1 $(GO) test -pgo=off -race -short -count=1 -timeout 10m ./eventloop/... ./aof ./rdb/... ./datatypes/...

lint: ## gofmt, vet, staticcheck, import floors, builds for macOS and FreeBSD
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet -pgo=off ./...
	$(GO) vet -pgo=off -tags invariants,seeded ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 ./tests/floors
	GOOS=darwin CGO_ENABLED=0 $(GO) build -pgo=off -o /dev/null ./...
	GOOS=freebsd CGO_ENABLED=0 $(GO) build -pgo=off -o /dev/null ./...

pgo: build deps-test ## profile the server under load and write a new default.pgo, which the compiler reads
	./tests/pgo.sh ./ferrous default.pgo

fuzz: ## run every fuzz target for T (make fuzz T=60s PKG=./eventloop/...)
	@./tests/fuzz.sh '$(T)' $(PKG)

bench: deps-test ## compare with redis-server: CPU, memory, latency, expiry (ONLY=cpu,mem,...)
	$(GO) run ./tests/bench $(if $(ONLY),-only $(ONLY)) $(BENCH)

stress: deps-test ## the long form of the model, comparison and integration tests
	FERROUS_STRESS=1 RAPID_CHECKS=5000 $(GO) test -pgo=off -count=1 -timeout 3h ./...

clean: ## remove what make built
	rm -f ferrous ferrous-race
	rm -rf build

FORCE:

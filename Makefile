# Plumbline. Every target works from a fresh clone; what it installs beside
# Debian packages goes into .cache, inside the repository and out of git.
SHELL := /bin/bash
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PKGS    ?= ./...

.PHONY: build demo test lint clients bench soak fuzz shots docker clean

build: ## one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o plumbline ./app

demo: ## a sample organisation with real traffic, then the web UI
	go run ./app demo

test: ## everything: vet, linters, all tests with the race detector on SQLite and Postgres, browser, SDKs
	.ci/test

lint: ## gofmt, go vet, staticcheck
	.ci/lint

clients: ## Claude Code and Codex CLI finish a prompt through the gateway, beside the official SDKs
	.ci/clients

bench: ## every figure of docs/performance.md
	.ci/bench

soak: ## 200 kills of the process at random points and at each named write
	.ci/soak

fuzz: ## every fuzz target for FUZZTIME (default 20s) each
	.ci/fuzz

shots: ## screenshots of every page into docs/screenshots
	.ci/shots

docker:
	docker build -t plumbline:$(VERSION) .

clean:
	rm -rf .cache plumbline plumbline-demo

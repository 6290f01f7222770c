# kept. `make help` lists what there is to do.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/bin
TOOL := CGO_ENABLED=0 go tool -modfile=cmd/tools/go.mod
GOLANGCI := v2.15.0
MODULES := . cmd/temporal-dev cmd/tools
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start everything on this machine; ARGS='--port 9090 --public-url https://…' are passed on
	@$(BIN)/kept up $(ARGS)

.PHONY: demo
demo: build ## play one client journey from booking to recall; uses the running stack, else starts one
	@$(BIN)/kept demo $(ARGS)

.PHONY: build
build: ## build bin/kept
	@CGO_ENABLED=0 go build -v -ldflags='-X main.version=$(VERSION)' -o $(BIN)/kept ./cmd/kept 2>&1 \
		| .ci/progress kept "$$(go list -deps ./cmd/kept | wc -l)"

# The development Temporal server, built once per state of its sources.
.PHONY: temporal
temporal: build
	@$(BIN)/kept temporal-dev --dir .kept/bin

.PHONY: test
test: ## run every test with the race detector, on servers of its own
	@command -v gcc >/dev/null || { echo 'make test needs gcc for the race detector: sudo apt-get install gcc libc6-dev'; exit 1; }
	@echo 'parts: build, then unit, database, workflow, replay, race and end-to-end tests of every package on embedded servers'
	@.ci/parts 'build kept and its Temporal server: $(MAKE) temporal' \
		'all tests, with the race detector: $(MAKE) test-race'

.PHONY: test-race
test-race:
	@$(BIN)/kept scratch --temporal -- env KEPT_TEMPORAL_DEV="$$($(BIN)/kept temporal-dev --dir .kept/bin)" CGO_ENABLED=1 \
		go test -race -p 1 -timeout 40m $(or $(PKG),./...)

.PHONY: soak
soak: temporal ## fixed long runs (20 seeds, 1,000 crashes, outages, races: about 45 minutes), then kills for MINUTES=n (10)
	@$(BIN)/kept scratch --temporal -- env KEPT_TEMPORAL_DEV="$$($(BIN)/kept temporal-dev --dir .kept/bin)" KEPT_SOAK_MINUTES=$(or $(MINUTES),10) \
		KEPT_FIGURES=$(CURDIR)/docs/figures.md CGO_ENABLED=1 go test -race -p 1 -run 'Soak|Live|Race|Storm|Fault|Outage|Sigterm' -count=1 -v -timeout $$(( $(or $(MINUTES),10) + 120 ))m \
		./workflows ./internal/wake ./internal/desk ./api ./cmd/kept

.PHONY: bench
bench: temporal ## measure; the results go to docs/figures.md
	@KEPT_TEMPORAL_DEV="$$($(BIN)/kept temporal-dev --dir .kept/bin)" CGO_ENABLED=0 \
		go run -tags bench ./internal/proof/bench $(ARGS)

.PHONY: check
check: ## everything static: formatting, lint, workflows, SQL, generated files, modules
	@.ci/parts \
		'formatting: $(MAKE) check-format' \
		'lint and import rules: $(MAKE) check-lint' \
		'workflows are deterministic: $(MAKE) check-workflows' \
		'SQL matches its generated code: $(MAKE) check-sql' \
		'SQL prepares on a real database: $(MAKE) check-sql-vet' \
		'generated files are up to date: $(MAKE) check-generated' \
		'go.mod files are tidy: $(MAKE) check-modules'

.PHONY: lint
lint: check-format check-lint ## only formatting and lint

.PHONY: check-format check-lint check-workflows check-sql check-sql-vet check-generated check-modules
check-format:
	@wrong=$$($(TOOL) gofumpt -l .) && { [ -z "$$wrong" ] || { echo "make format would change:"; echo "$$wrong"; exit 1; }; }
check-lint: $(BIN)/golangci-lint-$(GOLANGCI)
	@CGO_ENABLED=0 $< run ./...
	@cd cmd/temporal-dev && CGO_ENABLED=0 go vet .
check-workflows:
	@$(TOOL) workflowcheck ./workflows/...
check-sql:
	@$(TOOL) sqlc diff
check-sql-vet: build
	@$(BIN)/kept scratch -- env $(TOOL) sqlc vet
check-generated:
	@before=$$($(GENERATED)); $(MAKE) generate && [ "$$before" = "$$($(GENERATED))" ] \
		|| { echo 'make generate changed files: commit them'; git status --short; exit 1; }
check-modules:
	@bad=''; for m in $(MODULES); do (cd $$m && go mod tidy -diff) || bad="$$bad $$m"; done; \
		[ -z "$$bad" ] || { echo "go mod tidy would change the module in:$$bad"; exit 1; }

GENERATED = find . -name '*.sql.go' -o -name '*_templ.go' | sort | xargs git hash-object --

.PHONY: generate
generate: ## write the generated files anew: queries, pages
	@$(TOOL) sqlc generate
	@$(TOOL) templ generate -log-level error

.PHONY: format
format: ## format the Go files
	@$(TOOL) gofumpt -w .

.PHONY: tools
tools: $(BIN)/golangci-lint-$(GOLANGCI) ## build the checkers and generators ahead of their first use
	@for t in gofumpt sqlc templ workflowcheck oasdiff; do echo "building $$t"; $(TOOL) -n $$t >/dev/null || exit 1; done

$(BIN)/golangci-lint-$(GOLANGCI):
	@echo 'building golangci-lint $(GOLANGCI), once; this takes some minutes'
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) CGO_ENABLED=0 go install -v github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) 2>&1 \
		| .ci/progress golangci-lint 1221
	@mv $(BIN)/golangci-lint $@

.PHONY: clean
clean: ## remove what was built; .kept, the state of `make run`, stays
	@rm -rf $(BIN) .kept/bin

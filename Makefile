# CI runs these targets and nothing else. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

MODULES   := api events services workers
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X main.version=$(VERSION)
BINARY    := bin/assent
COMPOSE   ?= $(shell if docker compose version >/dev/null 2>&1; then echo docker compose; else echo docker-compose; fi)
IMAGE     ?= assent:dev
SMS       ?= 1
# Counted in executions: a time that ends within an execution can fail it (golang/go#75804).
FUZZTIME  ?= 50000x

# Tools are built once into .cache/bin, at these versions.
TOOLS              := $(CURDIR)/.cache/bin
GOLANGCI_VERSION   := v2.15.0
OAPI_VERSION       := v2.8.2
GOVULNCHECK_VERSION := v1.9.0
NEWMAN_VERSION     := 6.2.2
GOLANGCI           := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
OAPI               := $(TOOLS)/oapi-codegen-$(OAPI_VERSION)
GOVULNCHECK        := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)

## Run it

.PHONY: up
up: build ## run everything in one process: API, workers, NATS, sandbox carriers (flags: make up ARGS="--listen 127.0.0.1:8081")
	@exec $(BINARY) up $(ARGS)

.PHONY: build
build: ## build bin/assent
	@.ci/build Building $(BINARY) -trimpath -ldflags '$(LDFLAGS)' ./services/cmd/assent

## Test it

.PHONY: test
test: ## all tests of all modules with the race detector (installs Chromium on Debian where it is missing)
	@.ci/chromium
	@.ci/build "Compiling the tests" - -race work
	@.ci/test -race $(TESTFLAGS) work

.PHONY: test/scenario
test/scenario: ## the whole-system stories alone, one line for each
	@.ci/chromium
	@.ci/build "Compiling the scenarios" - -race ./services/cmd/assent
	@STORIES=1 .ci/test -race -count=1 $(TESTFLAGS) ./services/scenario/...

.PHONY: test/quickstart
test/quickstart: build ## the README's session, against a fresh `assent up`
	@.ci/quickstart

.PHONY: test/postman
test/postman: build ## the Postman collections, with newman against a fresh `assent up` (needs Node.js; STORIES=1 for a line each)
	@.ci/newman $(NEWMAN_VERSION)

.PHONY: fuzz
fuzz: ## every fuzz test, 50,000 executions each (FUZZTIME=5m for longer)
	@.ci/fuzz $(FUZZTIME) $(MODULES)

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint in each module, tests included
	@status=0; for m in $(MODULES); do \
	  echo "lint $$m"; (cd $$m && $(GOLANGCI) run --allow-parallel-runners --config ../.golangci.yml ./...) || status=1; \
	done; exit $$status

.PHONY: verify
verify: $(OAPI) ## generated files, module files and released goldens are clean; each module builds alone
	@OAPI=$(OAPI) .ci/verify $(MODULES)

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## known vulnerabilities in what is called (needs vuln.go.dev)
	@for m in $(MODULES); do echo "vulncheck $$m"; (cd $$m && $(GOVULNCHECK) ./...); done

.PHONY: load
load: build ## create verifications against a fresh `assent up` and print rates (N=5000 PARALLEL=64)
	@deploy/load.sh

.PHONY: chaos
chaos: build bin/nats-server ## load while a SIGKILL hits one role after the other: what was lost, what came twice (ARGS="--for 10m --policy hold")
	@go run ./services/cmd/chaos kill --assent $(BINARY) --nats bin/nats-server $(ARGS)

.PHONY: chaos/outage
chaos/outage: build bin/nats-server ## load while the provider is away for ten minutes, told in one, without and with a backup (ARGS="--factor 1")
	@go run ./services/cmd/chaos outage --assent $(BINARY) --nats bin/nats-server $(ARGS)

.PHONY: chaos/lanes
chaos/lanes: build bin/nats-server ## verifications alone, and beside 200,000 notifications (ARGS="--count 50000")
	@go run ./services/cmd/chaos lanes --assent $(BINARY) --nats bin/nats-server $(ARGS)

.PHONY: chaos/quota
chaos/quota: build bin/nats-server ## four workers under one quota of 100 a second, each killed and replaced (ARGS="--quota 50")
	@go run ./services/cmd/chaos quota --sms 4 --assent $(BINARY) --nats bin/nats-server $(ARGS)

.PHONY: chaos/queue
chaos/queue: build bin/nats-server ## a million notifications that wait, and a restart in the middle (ARGS="--count 100000")
	@go run ./services/cmd/chaos queue --assent $(BINARY) --nats bin/nats-server $(ARGS)

.PHONY: answers
answers: build ## time from an answer to the client that waits, on each road (ARGS="--count 1000")
	@go run ./services/cmd/answers --assent $(BINARY) $(ARGS)

.PHONY: authenticator
authenticator: ## how large the first load of the web authenticator is, and how soon it can be used with a processor four times as slow
	@.ci/chromium
	@go test -count=1 -v -run 'TestTheFirstLoadIsSmall|TestItIsThereAtOnceOnASlowPhone' ./services/httpapi/authenticator | sed -n 's/^ *[a-z_]*test.go:[0-9]*: //p'

.PHONY: pictures
pictures: ## the pictures in docs/, made anew in Chromium
	@.ci/chromium
	@.ci/pictures

.PHONY: bin/nats-server
bin/nats-server:
	@.ci/build "Building NATS" $@ github.com/nats-io/nats-server/v2

## Change it

.PHONY: fmt
fmt: $(GOLANGCI) ## format all Go files
	@for m in $(MODULES); do (cd $$m && $(GOLANGCI) fmt --config ../.golangci.yml ./...); done

.PHONY: tidy
tidy: ## bring every go.mod and go.sum up to date
	@for m in $(MODULES); do echo "tidy $$m"; (cd $$m && GOWORK=off go mod tidy); done

.PHONY: generate
generate: $(OAPI) ## generate Go from api/openapi.yaml
	@cd api && $(OAPI) -config oapi-codegen.yaml openapi.yaml
	@cd services/httpapi/contract && $(OAPI) -config oapi-codegen.yaml ../../../api/openapi.yaml

## Ship it

.PHONY: image
image: ## build the container image (IMAGE=assent:dev); needs Docker and a registry for the build image
	docker build -f deploy/Dockerfile --target image --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: image/local
image/local: image/root ## the same image from a binary built here; pulls nothing
	docker build -f deploy/Dockerfile --target local --build-arg VERSION=$(VERSION) -t $(IMAGE) .

# What stands in the image, for both ways of building it.
.PHONY: image/root
image/root:
	@GOOS=linux CGO_ENABLED=0 .ci/build "Building for the image" bin/image/root/assent -trimpath -ldflags '$(LDFLAGS)' ./services/cmd/assent
	@install -D -m 0644 /etc/ssl/certs/ca-certificates.crt bin/image/root/etc/ssl/certs/ca-certificates.crt
	@mkdir -p bin/image/owned/data && for r in api verifier sms voice email push; do mkdir -p -m 0700 bin/image/owned/keys/$$r; done

.PHONY: image/nats
image/nats: image/root ## an image of NATS from its Go module, for machines that can't pull the published one
	@GOOS=linux CGO_ENABLED=0 .ci/build "Building NATS" bin/image-nats/nats-server -trimpath -ldflags '-s -w' github.com/nats-io/nats-server/v2
	@cp bin/image/root/assent bin/image-nats/assent
	docker build -f deploy/nats/Dockerfile -t assent-nats:local bin/image-nats

.PHONY: compose-up
compose-up: ## start the services of docker-compose.yml and wait until they are healthy (SMS=3 for three SMS workers)
	$(COMPOSE) up -d --scale sms=$(SMS)
	@BASE=http://localhost:$${ASSENT_PORT:-8080} deploy/wait.sh

.PHONY: compose-down
compose-down: ## stop them and delete their volumes
	$(COMPOSE) down --volumes --remove-orphans

.PHONY: clean
clean: ## delete what was built
	rm -rf bin .cache

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^## / { printf "\n%s\n", substr($$0, 4) } \
	  /^[a-z][a-z\/-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(GOLANGCI):
	@.ci/tool $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
$(OAPI):
	@.ci/tool $@ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@$(OAPI_VERSION)
$(GOVULNCHECK):
	@.ci/tool $@ golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

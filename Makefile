# The developer interface. Everything sets up what it needs; see integration/setup/.

SETUP := integration/setup
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
DEMO_IMAGE := registry-cn-hangzhou.ack.aliyuncs.com/ack-demo/busybox:1.28

# Tests on a control plane wait most of the time; each of the processes has one of its own.
TOGETHER := --numprocesses 3 --dist loadfile
# Those on an engine keep it busy.
on_an_engine = $(PYTEST) $(call results,$(1)) --numprocesses 2 --dist loadfile -m "docker and not (cluster or clock)" tests integration; \
	together=$$?; $(PYTEST) $(call results,$(1)-clock) -m "docker and clock" tests integration && (exit $$together)
# Where RESULTS names a folder, each suite leaves its results there.
results = $(if $(RESULTS),--junitxml=$(RESULTS)/$(1)$(VKPROVIDER_TEST_IDENTITY).xml)

.DEFAULT_GOAL := help
.PHONY: help demo test local check unit property docker docker-26 test-cluster reference bench clean engine venv parts controlplane metrics-server

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

demo: engine ## run a Job with a sidecar on Docker, in both its forms, from nothing
	@$(SETUP)/venv.sh
	@$(SETUP)/busybox-image.sh $(DEMO_IMAGE)
	$(BIN)/vkprovider run deploy/examples/test-sidecar-native.yaml
	$(BIN)/vkprovider run deploy/examples/test-sidecar-marked.yaml

test: local test-cluster ## all tests: linters, unit, property, Docker, cluster

local: unit docker ## all tests but those on a control plane

check: venv ## the linters and the type checker alone
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv parts ## the linters, and the tests that need neither Docker nor a network
	@$(PYTEST) $(call results,unit) --numprocesses 2 -m "not docker and not cluster" tests

property: venv ## the properties of the core, with many examples
	@HYPOTHESIS_PROFILE=ci $(PYTEST) --timeout 1800 tests/property

docker: engine venv parts ## the tests on a Docker engine; those that compare times come last, one by one
	@$(call on_an_engine,docker)

docker-26: venv parts ## the tests on a second, newer engine, which is fetched if need be
	@DOCKER_HOST=$$(integration/engines/start-engine.sh) && export DOCKER_HOST && \
	{ $(call on_an_engine,docker-26); code=$$?; integration/engines/start-engine.sh stop; exit $$code; }

K8S ?= 1.34
ONLY ?= cluster
test-cluster: engine venv parts controlplane metrics-server ## the tests on a real control plane: make test-cluster K8S=1.36
	@VKPROVIDER_TEST_KUBERNETES=$(K8S) $(PYTEST) $(call results,cluster) $(TOGETHER) -m $(ONLY) integration/cluster

reference: venv ## write the reference pages that are made from code
	$(BIN)/python -m vkprovider.core.differences >docs/reference/differences-from-kubelet.md
	$(BIN)/python -m vkprovider.model.supported >docs/reference/supported-fields.md
	$(BIN)/python -m vkprovider.telemetry.reference >docs/reference/metrics.md
	deploy/monitoring/make_dashboard.py >deploy/monitoring/dashboard.json
	cp vkprovider/sidecarset/crds/*.yaml deploy/sidecarset/

bench: engine venv parts controlplane ## speed, as ratios to raw Docker calls
	@$(BIN)/python -m integration.benchmarks.run_speed
	@$(BIN)/python -m integration.benchmarks.node_speed
	@$(BIN)/python -m integration.benchmarks.node_idle
	@$(BIN)/python -m integration.benchmarks.log_files

clean: ## remove the environment and what the tools keep
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

engine:
	@$(SETUP)/engine.sh

venv:
	@$(SETUP)/venv.sh test lint

parts: # a shell and its programs to fill test images with, and ps, by which the engine lists processes
	@{ command -v busybox && command -v ps; } >/dev/null || $(SETUP)/apt.sh busybox-static procps

controlplane: venv # built once for each version, which takes ten minutes, and kept outside of the checkout
	@$(BIN)/python integration/controlplane/build.py $(K8S) >/dev/null

metrics-server: venv # built once, from its Go module
	@nice $(BIN)/python -m integration.cluster.metrics_server >/dev/null

# make bench     compare with torch on this machine: table, JSON, plots     WORKLOADS=… DEVICE=cpu|cuda JSON=FILE ARGS=…
#                WORKLOADS=step: whole training steps, beside torch's optimizers and FBGEMM
# make bars      measure what the CPU backend promises, with pass or fail   JSON=FILE ARGS=…
# make test      build everything and run all tests                         TESTS=REGEX
# make traffic   count what the kernels move, on an emulated GPU            WORKLOADS=… DEVICE_MODEL=h100|a100|b200|l4 JSON=FILE
# make gpu-report  on a machine with a GPU: test, measure, compare with the model of it
# make examples  build the programs of examples/ and run each for a short while   EXAMPLE=collab_filtering ARGS=… runs one
# make compare-gensim  word2vec beside gensim, in one run                MODEL=skip-gram|cbow JSON=FILE ARGS=…
# make data      get the data sets that they train on
# make wheel      the Python package, built, installed into a fresh environment and tested there
# make lint      formatting, static analysis, header self-containment       make format mends the formatting
# make install   into PREFIX (default /usr/local)
#
# Each sets up what it needs first. ROWLANE_CUDA=OFF builds for the CPU alone.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ROWLANE_CUDA ?= ON
PRESET ?= $(if $(filter OFF,$(ROWLANE_CUDA)),release-cpu,release)
BUILD := build/$(PRESET)
PYTHON := .venv/bin/python
SETUP := build/.setup-$(ROWLANE_CUDA)
SETUP_LINT := build/.setup-lint
SETUP_PYTHON := build/.setup-python
RATINGS := .cache/rowlane/ml-100k/ratings.csv
PEOPLE := .cache/rowlane/tabular/adult.csv
REVIEWS := .cache/rowlane/film-reviews/snippets.csv
MINILM := .cache/rowlane/minilm/expected.safetensors
DICTIONARY := .cache/rowlane/dictionary/corpus.txt

WORKLOADS ?= default
DEVICE ?= auto
DEVICE_MODEL ?= h100
RESULTS := build/results
JSON ?= $(RESULTS)/bench.json
PREFIX ?= /usr/local
# Results say which commit they are of.
WITH_COMMIT = ROWLANE_COMMIT="$$(git describe --always --dirty 2>/dev/null || true)"

export ROWLANE_CUDA
# A newer CMake than Debian's comes with the toolkit packages.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export CTEST_PARALLEL_LEVEL ?= $(shell nproc)

.PHONY: help
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

.PHONY: setup
setup: $(SETUP)
$(SETUP): scripts/setup.sh $(wildcard scripts/requirements*.txt)
	@scripts/setup.sh $@
$(SETUP_LINT): scripts/setup.sh scripts/requirements-lint.txt
	@scripts/setup.sh lint $@

# CMake runs itself again when its files change.
$(BUILD)/build.ninja: $(SETUP)
	@cmake --preset $(PRESET) $(CMAKE_ARGS)
	@touch $@

.PHONY: data
data: $(RATINGS) $(PEOPLE) $(REVIEWS) $(MINILM) $(DICTIONARY)
$(RATINGS): scripts/data/movielens.py
$(PEOPLE): scripts/data/tabular.py
$(REVIEWS): scripts/data/film_reviews.py
$(MINILM): scripts/data/minilm.py $(REVIEWS)
$(DICTIONARY): scripts/data/dictionary.py
$(RATINGS) $(PEOPLE) $(REVIEWS) $(MINILM) $(DICTIONARY): scripts/data/data_packages.py | $(SETUP)
	@$(PYTHON) $(filter-out %data_packages.py,$(filter %.py,$^))
	@touch $@

.PHONY: build
build: $(BUILD)/build.ninja
	@cmake --build $(BUILD)

# The kernels' tests and random calls run once more under the address and undefined-behaviour sanitizers.
.PHONY: test
test: build data build/asan/build.ninja $(SETUP_PYTHON)
	@cmake --build build/asan --target kernel_tests fuzz_test readers_test
	@ctest --test-dir build/asan -L 'kernels|sanitized' --output-on-failure $(if $(TESTS),-R '$(TESTS)' --no-tests=ignore,--no-tests=error)
	@ctest --test-dir $(BUILD) --output-on-failure $(if $(TESTS),-R '$(TESTS)' --no-tests=ignore,--no-tests=error)

build/asan/build.ninja: $(SETUP)
	@cmake --preset asan
	@touch $@

.PHONY: bench
ifeq ($(WORKLOADS),step)
bench: JSON = $(RESULTS)/step.json
bench: $(BUILD)/build.ninja
	@cmake --build $(BUILD) --target rowlane-step rowlane
	@mkdir -p "$(dir $(JSON))" $(RESULTS)
	@$(WITH_COMMIT) $(BUILD)/bin/rowlane-step --json $(RESULTS)/step-c++.json $(ARGS)
	@for workload in step fbgemm-default; do \
	  ROWLANE_LIBRARY_DIR=$(BUILD)/lib $(PYTHON) benchmarks/step/peers.py $$workload \
	    --json $(RESULTS)/step-python-$$workload.json $(ARGS); \
	done
	@$(PYTHON) scripts/report/step_report.py $(RESULTS)/step-c++.json $(RESULTS)/step-python-{step,fbgemm-default}.json \
	  --json "$(JSON)"
else
bench: $(BUILD)/build.ninja $(RATINGS)
	@cmake --build $(BUILD) --target rowlane-bench
	@mkdir -p "$(dir $(JSON))"
	@$(WITH_COMMIT) \
	  $(BUILD)/bin/rowlane-bench --workload $(WORKLOADS) --device $(DEVICE) --json "$(JSON)" $(ARGS)
	@$(PYTHON) scripts/report/report.py "$(JSON)"
endif

# Exits with an error when one is not met.
.PHONY: bars
bars: JSON = $(RESULTS)/bars.json
bars: $(BUILD)/build.ninja $(RATINGS)
	@cmake --build $(BUILD) --target rowlane-bars
	@mkdir -p "$(dir $(JSON))"
	@$(WITH_COMMIT) \
	  $(BUILD)/bin/rowlane-bars --json "$(JSON)" $(ARGS)

# Needs no GPU.
.PHONY: traffic
traffic: JSON = $(RESULTS)/traffic.json
traffic: $(BUILD)/build.ninja $(RATINGS)
	@cmake --build $(BUILD) --target rowlane-traffic
	@mkdir -p "$(dir $(JSON))"
	@$(WITH_COMMIT) \
	  $(BUILD)/bin/rowlane-traffic --workload $(WORKLOADS) --device $(DEVICE_MODEL) --json "$(JSON)" $(ARGS)
	@$(PYTHON) scripts/report/traffic_report.py "$(JSON)"

.PHONY: gpu-report
gpu-report: $(SETUP)
	@$(PYTHON) scripts/report/gpu_report.py check
	@$(MAKE) --no-print-directory build data
	@$(WITH_COMMIT) \
	  $(PYTHON) scripts/report/gpu_report.py run --build $(BUILD) --results $(RESULTS) --workloads $(WORKLOADS)

.PHONY: examples
examples: $(BUILD)/build.ninja data
	@cmake --build $(BUILD) --target examples
ifdef EXAMPLE
	@$(BUILD)/bin/$(EXAMPLE) $(ARGS)
else
	@ctest --test-dir $(BUILD) -R '^examples[.]' --verbose --parallel 1
endif

# MODEL=skip-gram|cbow
MODEL ?= skip-gram
.PHONY: compare-gensim
compare-gensim: JSON = $(RESULTS)/word2vec.json
compare-gensim: $(BUILD)/build.ninja data
	@cmake --build $(BUILD) --target word2vec
	@$(PYTHON) -m pip install --quiet -r scripts/requirements-gensim.txt
	@mkdir -p "$(dir $(JSON))"
	@$(WITH_COMMIT) $(PYTHON) scripts/report/compare_gensim.py --program $(BUILD)/bin/word2vec \
	  --model $(MODEL) --json "$(JSON)" $(ARGS)

# The fresh environment takes torch and the test tools from .venv.
WHEELS := build/results/wheels
WHEEL_ENV := build/wheel-environment
$(SETUP_PYTHON): scripts/setup.sh scripts/requirements-python.txt $(SETUP)
	@scripts/setup.sh python $@

.PHONY: wheel
wheel: $(SETUP_PYTHON)
	@rm -rf $(WHEELS) $(WHEEL_ENV)
	@$(PYTHON) -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir $(WHEELS) \
	  -C cmake.define.ROWLANE_CUDA=$(ROWLANE_CUDA) ./python_bindings_optional
	@$(PYTHON) -m venv $(WHEEL_ENV)
	@$(PYTHON) -c 'import site; print(site.getsitepackages()[0])' > \
	  "$$($(WHEEL_ENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/torch_of_venv.pth"
	@$(WHEEL_ENV)/bin/python -m pip install --quiet --no-deps $(WHEELS)/*.whl
	@$(WHEEL_ENV)/bin/python -m pytest -q python_bindings_optional
	@ls $(WHEELS)/*.whl

.PHONY: install
install: build
	@cmake --install $(BUILD) --prefix "$(PREFIX)"

.PHONY: lint format
lint: $(BUILD)/build.ninja $(SETUP_LINT)
	@$(PYTHON) scripts/lint.py $(BUILD)
format: $(SETUP_LINT)
	@$(PYTHON) scripts/lint.py --fix

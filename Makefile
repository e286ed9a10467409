# One command for everything; `make` alone lists them.
PYTHON  ?= python3.11
PORT    ?= 8501
STUDY   ?= cifar10
PROFILE ?= full
PYTEST_ARGS ?=
ARGS    ?=
# Only as typed: some systems have a NAME in their environment.
OWN_NAME := $(if $(filter command line,$(origin NAME)),$(NAME))

VENV := .venv
BIN  := $(VENV)/bin/python
APT  := DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3

# A file's tests share what they prepare, so they stay in one process.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
QUICK    := "not browser and not slow and not training"

# Only the project's own environment counts.
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help app check test lint notebooks study bench bench-training slug docs browser curl clean pictures
.DELETE_ON_ERROR:

help: ## list the commands
	@echo "make <command> [VARIABLE=value]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

app: $(VENV)/app.stamp ## the dashboard on the published runs: http://localhost:8501 (PORT=8501)
	@PYTHON=$(BIN) sh setup.sh
	@$(BIN) -m streamlit run asgi.py --server.port $(PORT)

check: lint curl ## lint, types and the tests that need neither browser nor training (PYTEST_ARGS=)
	@$(BIN) -m pytest $(PARALLEL) --ignore tests/training -m $(QUICK) $(PYTEST_ARGS)

test: lint browser curl pictures ## lint, types and all tests, in a real browser too (PYTEST_ARGS=)
	@$(BIN) -m pytest $(PARALLEL) $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp ## lint, format and types alone
	@$(BIN) -m ruff check .
	@$(BIN) -m ruff format --check .
	@$(BIN) -m mypy

notebooks: $(VENV)/notebooks.stamp ## make a new version of a study (STUDY=cifar10 PROFILE=full|quick BASE=version to go on from REASON="why again")
	@$(BIN) jupyter_notebooks/run.py --study $(STUDY) --profile $(PROFILE) $(if $(BASE),--base $(BASE)) $(if $(REASON),--reason "$(REASON)")

study: $(VENV)/notebooks.stamp ## a study of your own photos (FOLDER=name in inputs/, or FOLDER=path NAME=study; MERGE=1: alike names are one class)
	@$(BIN) jupyter_notebooks/run.py --folder "$(FOLDER)" --study "$(OWN_NAME)" --profile $(PROFILE) $(if $(filter-out 0,$(MERGE)),--merge-names)

bench: $(VENV)/dev.stamp browser ## measure the evaluation, and speed, memory and start of the served app
	@$(BIN) benchmarks/evaluation.py
	@$(BIN) benchmarks/near_duplicates.py
	@$(BIN) benchmarks/serving.py
	@$(BIN) benchmarks/decoding.py
	@$(BIN) benchmarks/app.py

bench-training: $(VENV)/dev.stamp ## measure training against a plain Keras script and PyTorch (ARGS=--curves)
	@$(BIN) benchmarks/training.py $(ARGS)

slug: $(VENV)/dev.stamp ## size of what is deployed, against its limit
	@$(BIN) benchmarks/slug.py

docs: $(VENV)/app.stamp ## write the generated parts of README and docs again
	@$(BIN) -m src.runs.documents

clean: ## remove the environment and all caches; data and published runs stay
	@rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each environment holds the one before it, in the same folder: app < notebooks < dev.
# A stamp is as new as the last installation, so nothing is installed twice.
$(VENV)/app.stamp: requirements.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the app's environment into $(VENV) (about a minute the first time)"
	@$(BIN) -m pip install -q -r requirements.txt
	@touch $@

$(VENV)/notebooks.stamp: requirements.txt requirements-notebooks.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the notebooks' environment into $(VENV) (some minutes the first time)"
	@$(BIN) -m pip install -q -r requirements-notebooks.txt
	@touch $(VENV)/app.stamp $@

$(VENV)/dev.stamp: requirements.txt requirements-notebooks.txt requirements-dev.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the development environment into $(VENV) (some minutes the first time)"
	@$(BIN) -m pip install -q -r requirements-dev.txt
	@touch $(VENV)/app.stamp $(VENV)/notebooks.stamp $@

# Debian ships venv apart from Python.
$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: apt-get install python3.11, or make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call as_root,python3.11-venv); }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

browser:
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { $(call as_root,chromium chromium-driver); }

curl:
	@command -v curl >/dev/null || { $(call as_root,curl); }

# Fashion-MNIST: the idx files that a test takes through all notebooks.
pictures:
	@test -d /usr/share/datasets/fashion-mnist || { $(call as_root,dataset-fashion-mnist); }

# Install Debian packages as root or through sudo, or say what to do.
as_root = echo "Installing Debian packages: $(1)"; \
	if [ "$$(id -u)" = 0 ]; then root=; \
	elif command -v sudo >/dev/null; then root="sudo"; \
	else echo "Neither root nor sudo: please have these Debian packages installed: $(1)" >&2; exit 1; fi; \
	$$root env $(APT) -qq update && $$root env $(APT) -qq -y --no-install-recommends install $(1)

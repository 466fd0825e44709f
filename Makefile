# Everything installs itself into the checkout (.venv, node_modules) or the user's cache folder (the packaged Asterisk).
# What must come from the system's package manager stands in telephony/pbx/system-packages.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WEB := telephony/desk/web
STATIC := telephony/desk/static
PIP := $(BIN)/pip --quiet --disable-pip-version-check install --require-hashes

.DELETE_ON_ERROR:
.PHONY: help demo serve test test-fast test-lint test-unit test-integration test-browser test-images bench lock clean system-run system-test system-images

help:
	@echo "make demo [ONCE=1]   a sample office with real calls; ONCE=1 plays the story once and checks it"
	@echo "make test            everything: lint, types, unit, contract, integration on a real Asterisk, browser, demo"
	@echo "make test-fast       what needs neither Asterisk nor a browser"
	@echo "make test-images     build and try the container images (buildah, root)"
	@echo "make bench           the benchmarks, one JSON object per line"

# --- what has to be there ---------------------------------------------------------------------------------------------

system-run system-test system-images: system-%:
	@$(PYTHON) -m telephony.pbx.system_packages --section $* --install

$(VENV)/.made:
	@echo "making $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("Callfloor needs Python 3.11 or later; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.lock pyproject.toml
	@echo "installing the service's packages"
	@$(PIP) -r requirements.lock || { echo "The packages cannot be had: is there a network, and does pip reach an index here (pip config list)?" >&2; exit 1; }
	@$(BIN)/pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "installing the packages for tests"
	@$(PIP) -r requirements-dev.lock
	@touch $@

# Node.js from the machine where it is new enough, else from the locked package.
$(VENV)/.node: $(VENV)/.run requirements-node.lock
	@if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then \
	  rm -f $(BIN)/node $(BIN)/npm; \
	else \
	  echo "installing Node.js into $(VENV)" && $(PIP) -r requirements-node.lock && $(BIN)/python -m telephony.desk.node_in_venv; \
	fi
	@touch $@

$(WEB)/node_modules/.made: $(VENV)/.node $(WEB)/package.json $(WEB)/package-lock.json
	@echo "installing the pages' packages"
	@cd $(WEB) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

$(STATIC)/index.html: $(WEB)/node_modules/.made $(shell find $(WEB)/src $(WEB)/public $(WEB)/index.html $(WEB)/vite.config.ts $(WEB)/tsconfig.json -type f 2>/dev/null)
	@echo "building the desk's pages"
	@cd $(WEB) && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	@touch $@

.PHONY: pages
pages: $(STATIC)/index.html

# --- running it -------------------------------------------------------------------------------------------------------

demo: system-run $(VENV)/.run $(STATIC)/index.html
	@$(BIN)/callfloor demo $(if $(ONCE),--once)

serve: $(VENV)/.run $(STATIC)/index.html
	@$(BIN)/callfloor serve

# --- proving it -------------------------------------------------------------------------------------------------------

test: system-test test-fast test-integration test-browser

test-fast: test-lint test-unit

test-lint: $(VENV)/.dev $(WEB)/node_modules/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd $(WEB) && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

test-unit: $(VENV)/.dev $(WEB)/node_modules/.made
	cd $(WEB) && PATH="$(CURDIR)/$(BIN):$$PATH" npm test --silent
	$(BIN)/pytest -n 2 tests/unit tests/contract

# Each test has an Asterisk and ports of its own, and most of its time is spent waiting for people to talk.
test-integration: system-test $(VENV)/.dev $(STATIC)/index.html
	tests/integration/in-namespace $(BIN)/pytest -n 4 --dist worksteal tests/integration

test-browser: system-test $(VENV)/.dev $(STATIC)/index.html
	$(BIN)/pytest tests/browser

test-images: system-images $(VENV)/.dev $(STATIC)/index.html
	$(BIN)/pytest -m images tests/images

bench: system-run $(VENV)/.dev
	@$(BIN)/python -m telephony.pbx provision >&2
	@for bench in tests/bench/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$bench || exit 1; done

# --- keeping it -------------------------------------------------------------------------------------------------------

# Lock files hold hashes and no addresses: every machine uses its own index.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock:
	$(LOCK) --extra build pyproject.toml -o requirements.lock
	$(LOCK) --extra build --extra dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --extra build --extra node pyproject.toml -o requirements-node.lock
	cd $(WEB) && npm install --package-lock-only

clean:
	rm -rf $(VENV) $(WEB)/node_modules $(STATIC) var .mypy_cache .pytest_cache .ruff_cache .hypothesis

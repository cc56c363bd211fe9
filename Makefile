# Everything a developer does, one word each. `make run` and `make test` need Python 3.11 to 3.14 and a package index, nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
INSTALLED := .venv/installed
BANK ?=
COMPOSE := docker compose $(if $(BANK),--profile $(BANK))
ARGS ?=
# Tests run side by side, two to a core since many of them wait, each side with servers of its own.
SIDES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? 2 * n : 8)))
PYTEST := $(BIN)/pytest --numprocesses $(SIDES) --dist loadfile

# Folders whose tests do no I/O, and the rest.
UNIT := $(wildcard tests/domain tests/usecases tests/api tests/telemetry tests/simulator tests/providers)
INTEGRATION := $(filter-out $(UNIT),$(wildcard tests/*))

.PHONY: help dev dev-setup run run-local up down build logs shell seed
help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Environment: made again only when the lock or pyproject.toml has changed.

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)$(UV)" || { echo "Python 3.11 to 3.14 is needed: make PYTHON=/path/to/python"; exit 1; }
ifneq ($(UV),)
	@test -x $(BIN)/python || uv venv --quiet --python "$(or $(PYTHON),>=3.11,<3.15)" .venv
	uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation -e .
else
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
endif
	@touch $@

dev-setup: $(INSTALLED) ## Make .venv from requirements.lock
dev: run ## The same as run

lock: ## Make requirements.lock and the locks of tools with environments of their own anew (needs uv)
	scripts/lock

# --- Run on this machine.

run: $(INSTALLED) ## Everything on this machine, no Docker: make run ARGS="--port 8080 --ephemeral"
	@$(BIN)/cleartill up $(ARGS)
run-local: $(INSTALLED) ## The API alone, against the servers the environment names
	@$(BIN)/cleartill serve $(ARGS)
migrate: $(INSTALLED) ## Bring the database of DATABASE_URL up to date
	@$(BIN)/cleartill migrate
db-seed: $(INSTALLED) ## Reset the database and fill it: merchants, payments of every outcome, refunds
	@$(BIN)/cleartill seed --reset $(ARGS)
seed: db-seed ## The same as db-seed
status: $(INSTALLED) ## Is everything well, and where is it
	@$(BIN)/cleartill doctor $(ARGS)
metrics: $(INSTALLED) ## Rates, latencies, breakers and queues, in the terminal
	@$(BIN)/cleartill metrics $(ARGS)
metrics-reference: $(INSTALLED) ## Every metric, span and log field there is, as Markdown
	@$(BIN)/python -m cleartill.telemetry.reference
debug: $(INSTALLED) ## Like run, with DEBUG logs
	@DEBUG=true LOG_LEVEL=DEBUG $(BIN)/cleartill up $(ARGS)
reconcile: $(INSTALLED) ## The bank's book against ours: make reconcile ARGS="--since 2026-01-01 --json"
	@$(BIN)/cleartill reconcile $(ARGS)
env-check: $(INSTALLED) ## Are the settings of this environment sound
	@$(BIN)/cleartill doctor --settings
deps-check: $(INSTALLED) ## Does what is installed fit together
	@$(BIN)/python -m pip --version >/dev/null 2>&1 && $(BIN)/python -m pip check || uv pip check --python $(BIN)/python
prod-check: $(INSTALLED) ## Could this go to production: make prod-check ARGS="--quick --env-file .env.production"
	@$(BIN)/python scripts/prod_check $(ARGS)
sbom: $(INSTALLED) ## What the service is made of, as CycloneDX: make sbom ARGS="--output sbom.cdx.json"
	@$(BIN)/python scripts/supply_chain sbom $(ARGS)

# --- Tests.

.PHONY: test test-unit test-integration test-drills test-api test-stack test-console postman test-postman full-test bench load fuzz game-day overload chaos mutants rolling-restart keys-drill backup-drill lint format lock
test: $(INSTALLED) ## The tests, on real PostgreSQL, Valkey and Kafka, with coverage
	@$(PYTEST) -m "not drill" --cov=cleartill --cov-report=term:skip-covered $(ARGS)
test-unit: $(INSTALLED) ## The tests without I/O
	@$(PYTEST) $(UNIT) $(ARGS)
test-integration: $(INSTALLED) ## The tests on real parts, drills included
	@$(PYTEST) $(INTEGRATION) $(ARGS)
test-drills: $(INSTALLED) ## Chaos, overload, fuzzing, a thousand races, the canary in every sink, keys, backups: short runs
	@$(PYTEST) -m drill $(ARGS)
test-api: $(INSTALLED) ## The README's calls against whatever stack is up
	@$(BIN)/python scripts/smoke $(ARGS)
test-stack: $(INSTALLED) ## Tests on the real MockServer and Apache Kafka (needs Java 17 and npm)
	@$(BIN)/python scripts/test_stack $(ARGS)
test-console: $(INSTALLED) ## The console in a real Chromium: make test-console ARGS="--screenshots shots"
	@$(BIN)/python scripts/test_console $(ARGS)
postman: $(INSTALLED) ## A Postman collection and environment from the OpenAPI document: make postman ARGS="--output DIR"
	@$(BIN)/python scripts/postman $(ARGS)
test-postman: $(INSTALLED) ## That collection, run by newman (needs npm): make test-postman ARGS="--url http://127.0.0.1:8000"
	@$(BIN)/python scripts/postman_run $(ARGS)
full-test: lint test test-drills test-console test-stack ## Everything that can fail
bench: $(INSTALLED) ## The benchmark: payments/s against pgbench, latencies, memory
	@$(BIN)/python scripts/bench $(ARGS)
load: $(INSTALLED) ## A load on whatever stack is up, and a page with pictures: make load ARGS="spike --rate 100"
	@$(BIN)/python scripts/load_test $(ARGS)
fuzz: $(INSTALLED) ## Schemathesis over the whole OpenAPI document: make fuzz ARGS="--seed 2 --seconds 600"
	@$(BIN)/python scripts/fuzz $(ARGS)
game-day: $(INSTALLED) ## Eight faults, one by one: which monitors would fire: make game-day ARGS="--only bank_down"
	@$(BIN)/python scripts/game_day $(ARGS)
overload: $(INSTALLED) ## Too much is asked, or a part is away: figures against goals: make overload ARGS="--only tenfold"
	@$(BIN)/python scripts/overload $(ARGS)
chaos: $(INSTALLED) ## Kill everything under load; is every cent where it belongs: make chaos ARGS="--kills 100 --seed 1"
	@$(BIN)/python scripts/chaos $(ARGS)
mutants: $(INSTALLED) ## Can the tests fail? Known defects are planted one by one: make mutants ARGS="--more --chaos"
	@$(BIN)/python scripts/mutants $(ARGS)
rolling-restart: $(INSTALLED) ## One process after the other is restarted under load; who notices: make rolling-restart ARGS=--migrate
	@$(BIN)/python scripts/rolling_restart $(ARGS)
keys-drill: $(INSTALLED) ## A new key for 100,000 cards under load, killed and resumed: make keys-drill ARGS="--cards 5000"
	@$(BIN)/python scripts/rotate_drill $(ARGS)
backup-drill: $(INSTALLED) ## A backup under load, a restore, and what the bank did since, by name
	@$(BIN)/python scripts/backup_drill $(ARGS)
lint: $(INSTALLED) ## Style, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/datadog validate --quiet
format: $(INSTALLED) ## Put the code in form
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

# --- Datadog.

.PHONY: datadog-validate datadog-push
datadog-validate: $(INSTALLED) ## Dashboards, monitors and SLOs: would Datadog take them, is every query fed
	@$(BIN)/python scripts/datadog validate $(ARGS)
datadog-push: $(INSTALLED) ## Bring a Datadog account to what the files say: make datadog-push ARGS=--dry-run
	@$(BIN)/python scripts/datadog push $(ARGS)

# --- Docker.

.PHONY: docker-up docker-down docker-build docker-logs docker-shell docker-psql test-compose delivery-check
docker-up: ## The whole stack in containers, migrated and seeded
	$(COMPOSE) up --detach --build --wait --wait-timeout 300
docker-down: ## Stop the containers
	$(COMPOSE) down
docker-build: ## Build the image
	$(COMPOSE) build
docker-logs: ## Follow the containers' logs
	$(COMPOSE) logs --follow --tail 100 $(ARGS)
docker-shell: ## A shell in the API's container
	$(COMPOSE) exec api sh
docker-psql: ## SQL in the containers' database
	$(COMPOSE) exec postgres psql -U cleartill cleartill
up: docker-up ## Short for docker-up
down: docker-down ## Short for docker-down
build: docker-build ## Build the images
logs: docker-logs ## Short for docker-logs
shell: docker-shell ## Short for docker-shell
test-compose: $(INSTALLED) ## The stack in containers: up, make test-api, down (needs a Docker engine)
	@scripts/delivery_compose $(ARGS)
delivery-check: $(INSTALLED) ## Compose files, Dockerfiles, Kubernetes manifests: are they sound
	@$(BIN)/python scripts/delivery_check

# --- Releases: onto the Docker of DEPLOY_STAGING_DOCKER and DEPLOY_PROD_DOCKER.

.PHONY: deploy-staging deploy-prod rollback-staging rollback-prod
deploy-staging: $(INSTALLED) ## This commit, beside what serves, switched, watched, or taken back: make deploy-staging ARGS=--dry-run
	@$(BIN)/python scripts/deploy staging $(ARGS)
deploy-prod: $(INSTALLED) ## The same with production, which asks for the tag: make deploy-prod ARGS=--dry-run
	@$(BIN)/python scripts/deploy production $(ARGS)
rollback-staging: $(INSTALLED) ## Let the release before in again
	@$(BIN)/python scripts/deploy staging --back $(ARGS)
rollback-prod: $(INSTALLED) ## The same with production, which asks for the tag
	@$(BIN)/python scripts/deploy production --back $(ARGS)

# --- Clean.

.PHONY: sbom migrate db-seed status metrics metrics-reference reconcile debug env-check deps-check prod-check clean clean-all
clean: ## Remove what tools leave behind
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov dist
	@find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
clean-all: clean ## … and .venv and .cleartill with all local data
	@test ! -L .cleartill/postgres || rm -rf "$$(readlink -f .cleartill/postgres)"
	@rm -rf .venv .cleartill

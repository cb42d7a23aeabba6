# Everything sets itself up: `make run` on a fresh Debian 12 with Python 3.11 is enough.
.DEFAULT_GOAL := help
.PHONY: help run demo test soak bench lint lock

BIN := .venv/bin
TESTED_WITH := postgresql chromium gcc nginx sslscan systemd clamav-daemon npm

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: ## Serve on http://127.0.0.1:8000 with embedded defaults (ARGS='--port 9000')
	@scripts/setup
	@exec $(BIN)/roadworthy serve $(ARGS)

demo: ## Serve a throwaway folder and show a registration (ARGS='--port 9000')
	@scripts/setup
	@exec $(BIN)/roadworthy demo $(ARGS)

# One more than there are processors: some tests wait instead of computing.
test: ## Check style and types, run every test on SQLite and PostgreSQL
	@scripts/setup dev $(TESTED_WITH)
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $$(($$(nproc) + 1)) $(ARGS)

soak: ## The tests with their full counts: takes hours
	@scripts/setup dev $(TESTED_WITH)
	SOAK=1 $(BIN)/pytest $(ARGS)

bench: ## Measure the service against a floor, on both databases (ARGS='--quick')
	@scripts/setup dev postgresql wrk gcc nginx
	$(BIN)/python -m bench $(ARGS)

lint: ## Style, types, and which package may import which
	@scripts/setup dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## Pin the newest versions that pyproject.toml allows
	@scripts/setup dev
	@scripts/lock

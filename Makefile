# The front door. What has a branch in it is a script under scripts/.
.DEFAULT_GOAL := help
.PHONY: help up down url status logs shell profile walkthrough reset doctor test check \
	soak develop lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^# == /{print "\n" substr($$0, 6)} /^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@printf '\nENGINE=docker or ENGINE=local chooses; PORT=8889 takes another port.\n'

# == The tutorial
up: ## start it, in Docker or on this machine, and print its address
	@scripts/tutorial up
url: ## print the address of JupyterLab, with its token
	@scripts/tutorial url
status: ## show what is running
	@scripts/tutorial status
walkthrough: ## play the guessing game, each command shown and run
	@scripts/tutorial walkthrough
shell: ## open a shell in which verdi is the tutorial's
	@scripts/tutorial shell
profile: ## set up the AiiDA profile, if need be, and show it
	@scripts/tutorial profile
logs: ## show the ends of the logs
	@scripts/tutorial logs
reset: ## fetch fresh pages; yours are kept as copies
	@scripts/tutorial reset
down: ## stop it; data and notebooks are kept
	@scripts/tutorial down
clean: ## stop it and remove it, with all data and notebooks
	@scripts/tutorial clean
doctor: ## tell whether this machine can run it, and what to do if not
	@scripts/tutorial doctor

# == The project
test: check ## lint, types and all tests that this machine can run
	@scripts/test
check: develop ## lint and types only
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy
soak: develop ## play 500 games while everything fails, in 20 minutes at most
	@.venv/bin/python -m tests.soak $(SOAK)
develop: ## make .venv, with what tests and lint need
	@python=$$(scripts/find-python) && "$$python" scripts/install-locked.py .venv requirements-dev.lock
lock: ## lock the versions of pyproject.toml; UPGRADE=1 takes the newest
	@scripts/lock

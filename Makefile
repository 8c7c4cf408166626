# The only door: `make help` lists what is behind it. GNU make 3.81 (macOS) and later.

# rustup puts cargo there; the shell that installed it does not have it on its path yet
export PATH := $(PATH):$(HOME)/.cargo/bin

OUTGROW ?= cargo run --release --locked --quiet --

# given NAME: is it set in the environment, or else in .env, which outgrow reads itself?
given = given() { eval "[ -n \"\$${$$1:-}\" ]" || grep -Eqs "^[[:space:]]*(export[[:space:]]+)?$$1[[:space:]]*=.{0,4}[[:alnum:]]" .env; }

# where outgrow looks for the target
TARGETS = MIGRATION_DATABASE_URL DATABASE_UNPOOLED_URL DIRECT_URL DATABASE_URL PGHOST PGHOSTADDR PGDATABASE PGSERVICE

.PHONY: help migrate test check bench fuzz pg pg-stop build cargo cc cxx rustfmt clippy

help: ## this list
	@awk -F ': .*## |: *## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

# No recipe names the value of a URL: make would print it, and `ps` show it. It travels in the environment.
migrate: build ## bring DATABASE_URL (unset: a local database, from the sample source) to head; flags: ARGS="--to 3"
	@$(given); for name in $(TARGETS); do if given $$name; then exec $(OUTGROW) migrate $(ARGS); fi; done; \
	DATABASE_URL=$$(scripts/postgres start .pg intelibotx) || exit; \
	export DATABASE_URL; \
	if ! given SOURCE_DATABASE_URL; then export SOURCE_DATABASE_URL=fixtures/intelibotx.db; fi; \
	$(OUTGROW) migrate $(ARGS) || exit; \
	psql=psql; command -v psql >/dev/null || psql=$$(scripts/postgres bin)/psql; \
	printf '\n%s\n' "$$DATABASE_URL"; \
	printf '%s "%s" -c '\''select id, email, is_verified, created_at from "user" order by id'\''\n' "$$psql" "$$DATABASE_URL"

test: cargo cc ## run the tests, on a throw-away server of their own (or the one at TEST_DATABASE_URL); PG=18: on that version (14 to 18)
	@[ -n "$$TEST_DATABASE_URL" ] || [ -n "$(PG)" ] || scripts/postgres bin >/dev/null
	@scripts/pgbouncer bin >/dev/null
	@if [ -n "$(PG)" ]; then PG_BIN=$$(scripts/postgres fetch "$(PG)" target/postgres) || exit; export PG_BIN; unset TEST_DATABASE_URL; \
	"$$PG_BIN/postgres" -V; fi; \
	skip=; \
	if [ -n "$(PG)" ] && ! [ -x "$$PG_BIN/pg_dump" ]; then echo 'no pg_dump of that version: its tests are left out'; skip='--skip what_pg_dump'; fi; \
	if [ "$(PG)" = 14 ]; then echo 'the tests of what 14 does not know (since_15) are left out'; skip="$$skip --skip since_15"; fi; \
	cargo test --locked -- $$skip

check: rustfmt clippy cc ## everything CI checks: format, lints, tests, docs
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@$(MAKE) --no-print-directory test
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --no-deps --document-private-items

# what cargo-fuzz passes, but for the sanitizers, which need a nightly compiler; not for build scripts, hence --target
SANCOV = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing
FUZZ_SECONDS ?= 60

fuzz: cargo cxx ## feed random steps and values to the parser and the codecs, FUZZ_SECONDS=60 for each; stops at the first fault
	@host=$$(rustc -vV | sed -n 's/^host: //p') && \
	RUSTFLAGS="$(SANCOV)" cargo build --release --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --target "$$host" && \
	for target in step value; do \
	mkdir -p "target/fuzz/corpus/$$target" && echo "fuzz: $$target" && \
	"target/fuzz/$$host/release/$$target" -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -verbosity=0 -print_final_stats=1 \
	-artifact_prefix="target/fuzz/$$target-" "target/fuzz/corpus/$$target" fuzz/seeds/$$target || exit; done

bench: cargo cc ## time whole loads against the server's own: SIZE=0.2 ROUNDS=3 (SIZE=1: 5 million rows)
	@scripts/postgres bin >/dev/null
	cargo bench --locked --bench load -- $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS)) --output target/bench.json $(ARGS)

pg: ## start the local server under .pg/ and print its URL
	@scripts/postgres start .pg

pg-stop: ## stop it; its data stay
	@scripts/postgres stop .pg

build: cargo cc ## the release binary
	@cargo build --release --locked

# -- what the targets above need

cargo:
	@command -v cargo >/dev/null || { \
	echo "cargo is missing. This installs it: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" >&2; exit 1; }

rustfmt: cargo
	@cargo fmt --version >/dev/null 2>&1 || { echo 'rustfmt is missing. This installs it: rustup component add rustfmt' >&2; exit 1; }

clippy: cargo
	@cargo clippy --version >/dev/null 2>&1 || { echo 'clippy is missing. This installs it: rustup component add clippy' >&2; exit 1; }

# SQLite is compiled from its source: a compiler without the C library's headers is not enough
cc:
	@echo '#include <stdio.h>' | cc -E -xc - >/dev/null 2>&1 || $(call compiler,C,gcc libc6-dev,echo '#include <stdio.h>' | cc -E -xc -)

# and so is libFuzzer, which is C++
cxx: cc
	@echo '#include <vector>' | c++ -E -xc++ - >/dev/null 2>&1 || $(call compiler,C++,g++,echo '#include <vector>' | c++ -E -xc++ -)

# given a language, Debian's packages for it and a trial of its compiler
define compiler
{ works() { $(3) >/dev/null 2>&1; }; \
	install() { \
	$$1 apt-get update >&2; \
	$$1 env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(2) </dev/null >&2; }; \
	echo 'a $(1) compiler is missing' >&2; \
	if ! command -v apt-get >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ]; then install; \
	elif sudo -n true 2>/dev/null; then install 'sudo -n'; fi; \
	works || { echo 'This installs one: sudo apt-get install -y $(2) (Debian), xcode-select --install (macOS)' >&2; exit 1; }; }
endef

# Two commands work on a fresh Debian machine that has a Rust toolchain: `make demo` and `make test`.
# Everything else they need, they install themselves, with sudo only when not root.

.PHONY: help demo test test-long test-platforms bench book man install deb FORCE

CARGO ?= cargo

help:
	@echo 'make demo         build, and test gzip on the embedded queue and store'
	@echo 'make test         install the real services and run every check and test'
	@echo 'make test-long    build the book and the Debian package, install on hosts with systemd, and try parsers with 100,000 inputs and other properties with more cases'
	@echo 'make book         build the documentation as a book in target/book (builds mdBook first)'
	@echo 'make test-platforms  run the stories against the programs of newer Debian releases, in roots that it makes and keeps'
	@echo 'make bench        measure worker, submission, queues, results and the web service against bare clients, side by side'
	@echo 'make install      install the program, manual pages, completions and systemd units below /usr/local (PREFIX and DESTDIR are honoured)'
	@echo 'make deb          build the Debian package in target/deb (builds cargo-deb first)'
	@echo 'make man          regenerate man/'

demo:
	scripts/install-packages demo
	$(CARGO) build --locked
	scripts/demo target/debug/apt-ci

# clippy-driver is a compiler that knows more warnings. Used as one, it checks what it builds, so that the dependencies
# are built once and not a second time for `cargo clippy`. Its warnings are errors.
CHECKED = RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__

# Tests wait for clocks and servers most of the time, so there are more of them than processors.
test:
	scripts/install-packages test
	$(CARGO) fmt --all --check
	$(CHECKED) $(CARGO) build --locked --all-targets --test hosts
	RUST_TEST_THREADS=$$(($$(nproc) * 3)) $(CHECKED) $(CARGO) test --locked

test-long: book
	scripts/install-packages test
	scripts/install-packages containers
	$(CHECKED) $(CARGO) test --locked --test hosts
	$(MAKE) deb
	lintian --fail-on error,warning target/deb/apt-ci_$(DEB_VERSION)_*.deb
	PROPTEST_CASES=2500 $(CHECKED) $(CARGO) test --locked --lib -- rotation:: changed_deliveries
	APT_CI_TEST_CASES=100000 $(CHECKED) $(CARGO) test --locked --test system -- parsers::

# mdBook is built once, below target/. Its warnings are errors here: it warns about what it left out.
MDBOOK = target/tools/bin/mdbook
book: $(MDBOOK)
	$(MDBOOK) build 2>&1 | tee target/book.log
	! grep -E 'WARN|ERROR' target/book.log

$(MDBOOK):
	$(CARGO) install --locked --quiet --root target/tools mdbook --version '^0.5'

test-platforms:
	scripts/install-packages test
	$(CHECKED) scripts/test-platforms

bench:
	scripts/install-packages test
	$(CARGO) bench --locked --bench worker --bench requests --bench results --bench web

PREFIX ?= /usr/local
# A program that was built elsewhere can be named instead.
PROGRAM ?= target/release/apt-ci
install: $(PROGRAM)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/apt-ci
	install -D -m 644 completions/apt-ci.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/apt-ci
	install -D -m 644 completions/_apt-ci $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_apt-ci
	install -D -m 644 completions/apt-ci.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/apt-ci.fish
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 templates/systemd/autopkgtest-sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/apt-ci.conf
	install -D -m 644 templates/systemd/autopkgtest@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/autopkgtest@.service
	install -D -m 644 templates/systemd/apt-ci-serve.service $(DESTDIR)$(PREFIX)/lib/systemd/system/apt-ci-serve.service
	sed -i 's,/usr/local/bin/,$(PREFIX)/bin/,' $(DESTDIR)$(PREFIX)/lib/systemd/system/autopkgtest@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/apt-ci-serve.service

# cargo knows whether there is something to build.
target/release/apt-ci: FORCE
	$(CARGO) build --locked --release
FORCE:

# The package has the time of the commit, not that of the build, so that two builds are the same.
CARGO_DEB = target/tools/bin/cargo-deb
DEB_VERSION ?= $(shell scripts/deb-version)
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s -r CHANGELOG.md)
deb: $(PROGRAM) $(CARGO_DEB)
	scripts/prepare-deb target/deb $(PROGRAM) $(DEB_VERSION)
	$(CARGO_DEB) --no-build --no-strip --locked --deb-version $(DEB_VERSION) --output target/deb/

$(CARGO_DEB):
	$(CARGO) install --locked --quiet --root target/tools cargo-deb --version '^3.8'

man:
	$(CARGO) build --locked
	mkdir -p man
	rm -f man/*.1
	target/debug/apt-ci man man

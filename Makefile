# yodel: one non-recursive Makefile. `make help` lists the targets.
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
SANITIZE ?=
WERROR ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc/yodel
TIME ?= 60

# The plain flavour builds in build/, another compiler or sanitizer in a folder below it.
comma := ,
flavour := $(filter-out gcc,$(notdir $(CC)))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
B := build$(if $(flavour),/$(patsubst -%,%,$(flavour)))

PACKAGES := libevent_core libevent_extra jansson zlib libsystemd libseccomp libssl libcrypto
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
override CPPFLAGS += -I. -D_GNU_SOURCE -DYODEL_VERSION='"$(VERSION)"' \
	-DYODEL_SYSCONFDIR='"$(SYSCONFDIR)"' $(PKG_CFLAGS)
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wpointer-arith -Wwrite-strings -Wundef $(if $(WERROR),-Werror)
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection
# _FORTIFY_SOURCE at the highest level that the C library and the compiler support. It needs
# an optimizer, and is left out with sanitizers, which have checks of their own.
ifneq ($(if $(SANITIZE),,$(filter -O1 -O2 -O3 -Os,$(CFLAGS))),)
FORTIFY := $(shell echo '\#include <stdio.h>' | $(CC) -O2 -D_FORTIFY_SOURCE=3 -Werror -E - \
	>/dev/null 2>&1 && echo 3 || echo 2)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY)
endif
sanitize_flags := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
all_cflags := -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS) $(sanitize_flags)
override LDFLAGS += -pie -Wl,--as-needed -Wl,-z,relro,-z,now
all_libs := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread

# Prints a short line for each command, or the command itself: make V=1.
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $@;)

FOLDERS := $(wildcard lib net http proto conf worker keeper master ctl client)
SOURCES := $(sort $(shell find $(FOLDERS) -name '*.c'))
HEADERS := $(sort $(shell find $(FOLDERS) -name '*.h'))
# A program is linked from its main file and the archive of everything else.
MAINS := master/main.c ctl/main.c client/main.c
PARTS := $(filter-out $(MAINS),$(SOURCES))
PARTS_O := $(PARTS:%.c=$B/obj/%.o)
PROGRAMS := $B/yodeld $B/yodelctl $B/yodel

.PHONY: all
all: $(PROGRAMS) ## build the programs (CC=clang, SANITIZE=address,undefined, WERROR=1)

$B/yodeld: $B/obj/master/main.o $B/yodel.a
$B/yodelctl: $B/obj/ctl/main.o $B/yodel.a
$B/yodel: $B/obj/client/main.o $B/yodel.a
$(PROGRAMS):
	$(call say,LINK)$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs)

$B/yodel.a: $(PARTS_O)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(all_cflags) -MMD -MP -c -o $@ $<

$B/obj/master/admin/page.o: master/admin/page.html

# Unit tests: tests/unit/NAME_test.c is one cmocka program.
UNIT_TESTS := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/*_test.c))
$(UNIT_TESTS): $B/tests/%: $B/obj/tests/unit/%.o $B/yodel.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs) -lcmocka
# Their allocations fail on demand.
$B/tests/transfer_memory_test: override LDFLAGS += -Wl,--wrap=calloc -Wl,--wrap=transfer_state_send
$B/tests/http_client_test: override LDFLAGS += -Wl,--wrap=recv,--wrap=__recv_chk
$B/tests/unix_socket_test: override LDFLAGS += -Wl,--wrap=nanosleep
$B/tests/transfer_test: override LDFLAGS += -Wl,--wrap=open_count_change
$B/tests/transfers_test: override LDFLAGS += -Wl,--wrap=channel_send
# Calls whose order is tested are recorded; no worker is forked.
RECORDED_CALLS := reuseport_select worker_drain_queue_taken_over worker_drain_find_receivers \
	worker_drain_on_listeners_removed worker_drain_start worker_drain_replace slot_close_sockets \
	scale_on_slot_change scale_on_reloaded service_manager_status service_manager_ready capacity_log \
	listener_set_commit admin_listener_commit slot_set_process slot_drain pending_requests_on_outcome \
	drain_summary_open drain_summary_close drain_summary_finish drain_summary_on_process_released \
	upgrade_done ledger_retire channel_send spawn_worker waitpid sigqueue
$B/tests/supervisor_test: override LDFLAGS += $(RECORDED_CALLS:%=-Wl,--wrap=%)
$B/tests/network_error_test: override LDFLAGS += -Wl,--wrap=recv -Wl,--wrap=send
$B/tests/json_load_test: override LDFLAGS += -Wl,--wrap=malloc,--wrap=reallocarray

# Variants of yodeld for the bats tests.
HELPERS := $B/tests/worker_exits_at_start $B/tests/ledger_layout_mismatch $B/tests/state_version_mismatch $B/tests/worker_start_hook \
	$B/tests/compromised_worker $B/tests/worker_dies_of_input \
	$B/tests/upgrade_fails $B/tests/transfer_version_mismatch
$(HELPERS): $B/tests/%: $B/obj/master/main.o $B/obj/tests/lib/%.o $B/yodel.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs)
$B/obj/tests/lib/state_version_mismatch.o: different := -DSTATE_VERSION='"7"'
$B/obj/tests/lib/transfer_version_mismatch.o: different := -DTRANSFER_VERSION=4095
$B/obj/tests/lib/state_version_mismatch.o $B/obj/tests/lib/transfer_version_mismatch.o: master/upgrade/state_load.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(different) $(all_cflags) -MMD -MP -c -o $@ $<
$B/tests/ledger_layout_mismatch: override LDFLAGS += -Wl,--wrap=ledger_attach
$B/tests/worker_start_hook $B/tests/compromised_worker: override LDFLAGS += -Wl,--wrap=worker_run
$B/tests/upgrade_fails: override LDFLAGS += -Wl,--wrap=signals_start
$B/tests/worker_dies_of_input: override LDFLAGS += -Wl,--wrap=reply_write,--wrap=session_play

# Programs of the bats tests that are not servers.
TOOLS := $B/tests/kill_at_call $B/tests/tls_attacker
$(TOOLS): $B/tests/%: $B/obj/tests/lib/%.o
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs)
$B/tests/tls_attacker: $B/yodel.a

# Fuzz targets: tests/fuzz/NAME_fuzz.c, with the corpus tests/fuzz/corpus/NAME/. Linked with
# replay.c they replay the corpus as a regression test; linked with libFuzzer they fuzz.
FUZZ := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
REPLAYS := $(FUZZ:%=$B/fuzz/%)
FUZZERS := $(FUZZ:%=$B/libfuzzer/%)
$(REPLAYS): $B/fuzz/%: $B/obj/tests/fuzz/%_fuzz.o $B/obj/tests/fuzz/replay.o $B/yodel.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(all_cflags) $(LDFLAGS) -o $@ $(filter %.o,$^) $B/yodel.a \
		$(all_libs)
$(FUZZERS): $B/libfuzzer/%: $B/obj/tests/fuzz/%_fuzz.o $B/yodel.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(all_cflags) -fsanitize=fuzzer $(LDFLAGS) -o $@ \
		$(filter %.o,$^) $B/yodel.a $(all_libs)

# These targets read JSON: the mutator keeps the input valid JSON.
JSON_TARGETS := config result stats upgrade_state
$(JSON_TARGETS:%=$B/libfuzzer/%): $B/obj/tests/fuzz/json_mutator.o

# Wrapped: changes that this fuzz target requests are not made.
STUBBED_CHANGES := reload_start scale_workers upgrade_start rebalance_start shutdown_in_order
$B/fuzz/admin $B/libfuzzer/admin: override LDFLAGS += $(STUBBED_CHANGES:%=-Wl,--wrap=%)
# Wrapped: the workers of this fuzz target are not processes.
FAKED_PROCESS_CALLS := spawn_worker waitpid kill channel_refuse_fds
$B/fuzz/channel $B/libfuzzer/channel: override LDFLAGS += $(FAKED_PROCESS_CALLS:%=-Wl,--wrap=%)
$B/fuzz/channel $B/libfuzzer/channel: $B/obj/tests/fuzz/fake_processes.o
# connect(2) is wrapped: this fuzz target opens no connection.
$B/fuzz/stats $B/libfuzzer/stats: override LDFLAGS += -Wl,--wrap=connect
# Wrapped: the inherited descriptors and processes of this fuzz target are faked.
FAKED_STATE_CALLS := getpid waitid log_error log_errorx unix_socket_remove
$B/fuzz/upgrade_state $B/libfuzzer/upgrade_state: override LDFLAGS += $(FAKED_STATE_CALLS:%=-Wl,--wrap=%)

# Reference programs of the benchmarks: tests/bench/NAME.c, each a program of its own.
BENCHES := $(patsubst tests/bench/%.c,$B/bench/%,$(wildcard tests/bench/*.c))
$(BENCHES): $B/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CPPFLAGS) $(all_cflags) $(LDFLAGS) -o $@ $< -lssl -lcrypto
$B/bench/raw_tls $B/bench/raw_tls_client: tests/bench/raw_record.h

# A server with a known latency, for the tests of yodel's verdict.
LATENCY_SERVER := $B/tests/latency_server
$(LATENCY_SERVER): tests/lib/latency_server.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CPPFLAGS) $(all_cflags) $(LDFLAGS) -o $@ $< -lm

# Preloaded into yodeld by tests/faults.bats; never built with a sanitizer.
$B/faults.so: tests/lib/faults.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -fPIC -shared \
		$(if $(SANITIZE),-DWITHOUT_MALLOC) -o $@ $< -ldl

export B CC SANITIZE SOURCES HEADERS
export HEADER_FLAGS := -std=gnu11 $(WARNINGS) $(CPPFLAGS)
.PHONY: check
check: all $(UNIT_TESTS) $(HELPERS) $(TOOLS) $(LATENCY_SERVER) $(REPLAYS) $B/faults.so ## run all tests and checks (KINDS="unit bats corpus static compiler")
	@tests/run-checks $(KINDS)

.PHONY: check-cluster
check-cluster: all ## run the tests under Slurm and Open MPI (first: make deps ONLY=cluster)
	@tests/run-checks cluster

.PHONY: unit
unit: $(UNIT_TESTS) ## run only the unit tests, with full output
	@status=0; for t in $^; do $$t || status=1; done; exit $$status

.PHONY: tables
tables: all $B/tests/manual_test ## rewrite the tables in the manuals and the JSON schema from the code
	@$B/tests/manual_test --write
	@$B/yodeld --print-schema >conf/yodeld.schema.json
	@$B/yodel survey --print-schema >client/survey.schema.json

.PHONY: fuzz fuzzers
fuzz: ## fuzz each target for TIME=60 seconds (clang)
	$(MAKE) CC=clang SANITIZE=fuzzer-no-link,address,undefined TIME=$(TIME) fuzzers
fuzzers: $(FUZZERS)
	@set -e; for t in $^; do \
		found=$B/corpus/$${t##*/}; mkdir -p $$found; echo "== $${t##*/}, $(TIME) s"; \
		$$t -max_total_time=$(TIME) -timeout=10 -artifact_prefix=$$found- \
			$$found tests/fuzz/corpus/$${t##*/}; done

.PHONY: check-long
check-long: ## make check with the long forms of the tests
	@LONG=1 $(MAKE) check

.PHONY: demo
demo: all ## run a server, the two-socket test and 10,000 sockets
	@tests/demo

.PHONY: soak
soak: all $(LATENCY_SERVER) $B/tests/coverage_test ## change and kill a server under load; count what is lost (long form)
	@COVERAGE_RUNS=1000 $B/tests/coverage_test
	@BUILD=$B tests/soak
	@BUILD=$B tests/verdict_runs --runs 200

.PHONY: bench
bench: all $(BENCHES) ## compare with minimal reference programs and other servers (QUICK=1: two minutes)
	@tests/bench/run $(if $(QUICK),--quick)

.PHONY: bench-million
bench-million: all $(BENCHES) ## measure a million concurrent connections (CONNECTIONS=100000: fewer, TLS=1, SERVE=1)
	@tests/bench/million $(if $(TLS),--tls) $(if $(SERVE),--serve) $(CONNECTIONS)

.PHONY: bench-transfers
bench-transfers: all ## measure a reload that transfers 100,000 connections (CONNECTIONS=20000: fewer)
	@tests/bench/transfers $(CONNECTIONS)

.PHONY: bench-balance
bench-balance: all $(BENCHES) ## compare balance "cpu" with the kernel's hash
	@tests/bench/balance

.PHONY: bench-redis
bench-redis: all ## compare yodel with redis-benchmark, which verifies nothing
	@tests/bench/redis

.PHONY: bench-methods bench-compare
bench-methods: all $(BENCHES) ## compare select, poll, epoll and others with idle connections
	@tests/bench/methods
bench-compare: all $(BENCHES) ## compare with another revision in interleaved pairs: BASE=REVISION
	@tests/bench/compare $(or $(BASE),$(error missing BASE=REVISION))

.PHONY: instructions
instructions: all $(BENCHES) ## count user-mode instructions per message, by function
	@tests/bench/instructions --top 15

.PHONY: deps
deps: ## install the dependencies (ONLY=build: without tests; ONLY=cluster: also Slurm)
	@tests/install-deps $(ONLY)

.PHONY: format
format: ## format the C sources with clang-format
	clang-format -i $(SOURCES) $(HEADERS) $(wildcard tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch])

# Installation. An existing configuration and the mode of existing folders are kept.
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/yodel
CLIENT_DOCDIR ?= $(DOCDIR)
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
FIREWALLDDIR ?= $(PREFIX)/lib/firewalld/services
folder = { [ -d $(1) ] || install -d $(1); }
install_with_paths = $(call folder,$(DESTDIR)$(2)) && sed -e 's|/usr/sbin/|$(SBINDIR)/|' \
	-e 's|/usr/bin/|$(BINDIR)/|' -e 's|/usr/share/|$(DATADIR)/|' \
	-e 's|/etc/yodel/|$(SYSCONFDIR)/|' $(1) >$(DESTDIR)$(2)/$(notdir $(1)) && \
	chmod 644 $(DESTDIR)$(2)/$(notdir $(1))
# Completions are generated from the output of --help.
completions = for program in $(1); do \
	for way in bash:bash-completion/completions/ zsh:zsh/site-functions/_ \
			fish:fish/vendor_completions.d/; do \
		place=$(DESTDIR)$(DATADIR)/$${way\#\#*:}$$program; shell=$${way%%:*}; \
		[ $$shell != fish ] || place=$$place.fish; \
		$(call folder,$${place%/*}) && \
		packaging/completions/generate $$shell $B/$$program >$$place && \
		chmod 644 $$place || exit; \
	done; done
# Manual pages: the suffix is the section. $(1): pages
install_pages = $(foreach page,$(1),$(call install_with_paths,$(page),$(DATADIR)/man/man$(subst .,,$(suffix $(page)))) &&) :
SERVER_PAGES := $(wildcard master/*.8 conf/*.5 ctl/*.1)
CLIENT_PAGES := $(wildcard client/*.1 client/*.5)

.PHONY: install install-server install-client
install: install-server install-client ## install below $(DESTDIR)$(PREFIX)
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) SECURITY.md LICENSE
	@$(foreach page,README.md CHANGELOG.md,$(call install_with_paths,$(page),$(DOCDIR)) &&) :

install-server: all
	install -D -m 755 -t $(DESTDIR)$(SBINDIR) $B/yodeld
	install -D -m 755 -t $(DESTDIR)$(BINDIR) $B/yodelctl
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/yodel conf/yodeld.schema.json conf/whoami.schema.json
	$(call folder,$(DESTDIR)$(SYSCONFDIR))
	[ -e $(DESTDIR)$(SYSCONFDIR)/yodeld.json ] || \
		install -m 644 conf/yodeld.json $(DESTDIR)$(SYSCONFDIR)/
	ln -sf $(DATADIR)/yodel/yodeld.schema.json $(DESTDIR)$(SYSCONFDIR)/
	$(call install_with_paths,packaging/systemd/yodeld.service,$(UNITDIR))
	$(call install_with_paths,packaging/systemd/yodeld.socket,$(UNITDIR))
	install -D -m 644 -t $(DESTDIR)$(SYSUSERSDIR) packaging/sysusers.d/yodel.conf
	install -D -m 644 -t $(DESTDIR)$(FIREWALLDDIR) packaging/firewall/firewalld/yodeld.xml
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples conf/examples/*.json conf/examples/*.talk \
		packaging/systemd/*.conf packaging/sysctl.d/*.conf packaging/logrotate/yodeld \
		packaging/container/Containerfile packaging/kubernetes/yodeld.yaml
	$(call install_with_paths,packaging/apparmor/usr.sbin.yodeld,$(DOCDIR)/examples)
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples/prometheus \
		packaging/prometheus/*.yml packaging/prometheus/*.json
	@$(call install_pages,$(SERVER_PAGES))
	@$(call completions,yodeld yodelctl)

install-client: all
	install -D -m 755 -t $(DESTDIR)$(BINDIR) $B/yodel
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/yodel client/result.schema.json \
		client/survey.schema.json \
		client/events.schema.json
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/yodel/conversations client/conversations/*.talk
	install -D -m 644 -t $(DESTDIR)$(CLIENT_DOCDIR)/examples packaging/slurm/yodel.sbatch \
		packaging/kubernetes/yodel.yaml
	@$(call install_pages,$(CLIENT_PAGES))
	@$(call completions,yodel)

.PHONY: dist
dist: ## build/yodel-VERSION.tar.gz of the committed tree
	@packaging/make-dist $(VERSION)

.PHONY: deb rpm
deb: ## Debian packages of the committed tree, in build/deb/
	@packaging/make-deb
rpm: ## rpm packages of the committed tree, in build/rpm/
	@packaging/make-rpm $(VERSION)

.PHONY: acceptance
acceptance: ## install, run, upgrade and remove the packages under a real systemd (root)
	@packaging/acceptance $(KINDS)

.PHONY: clean
clean: ## remove the build
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

.SECONDARY:
-include $(shell find $B/obj -name '*.d' 2>/dev/null)

# yodel: one Makefile, not recursive. `make help` lists what it does.
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
SANITIZE ?=
WERROR ?=

# The plain flavour builds in build/, any other (compiler, sanitizer) beside it.
comma := ,
flavour := $(filter-out gcc,$(notdir $(CC)))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
B := build$(if $(flavour),/$(patsubst -%,%,$(flavour)))

PACKAGES := libevent_core libevent_extra jansson zlib libsystemd
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CPPFLAGS += -I. -D_GNU_SOURCE -DYODEL_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wpointer-arith -Wwrite-strings -Wundef $(if $(WERROR),-Werror)
HARDENING := -fPIE -fstack-protector-strong
sanitize_flags := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
all_cflags := -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS) $(sanitize_flags)
LDFLAGS += -pie -Wl,--as-needed -Wl,-z,relro,-z,now
all_libs := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread

FOLDERS := lib proto conf worker master client
SOURCES := $(sort $(wildcard $(addsuffix /*.c,$(FOLDERS))))
HEADERS := $(sort $(wildcard $(addsuffix /*.h,$(FOLDERS))))
# Each program is its main.c and what it calls of everything else.
MAINS := master/main.c client/main.c
PARTS := $(filter-out $(MAINS),$(SOURCES))
PARTS_O := $(PARTS:%.c=$B/obj/%.o)
PROGRAMS := $B/yodeld $B/yodel

.PHONY: all
all: $(PROGRAMS)

$B/yodeld: $B/obj/master/main.o $B/yodel.a
$B/yodel: $B/obj/client/main.o $B/yodel.a
$(PROGRAMS):
	$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs)

$B/yodel.a: $(PARTS_O)
	@rm -f $@
	$(AR) rcs $@ $^

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(all_cflags) -MMD -MP -c -o $@ $<

# Unit tests: tests/unit/NAME_test.c is one cmocka program.
UNIT_TESTS := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/*_test.c))
$B/tests/%_test: $B/obj/tests/unit/%_test.o $B/yodel.a
	@mkdir -p $(@D)
	$(CC) $(all_cflags) $(LDFLAGS) -o $@ $^ $(all_libs) -lcmocka

.PHONY: unit
unit: $(UNIT_TESTS)
	@status=0; for t in $^; do $$t || status=1; done; exit $$status

.PHONY: clean
clean:
	rm -rf build

.SECONDARY:
-include $(shell find $B/obj -name '*.d' 2>/dev/null)

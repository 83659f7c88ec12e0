#!/usr/bin/env bats
# run-checks: long
# soak.bats - runs the short form of tests/soak; make soak runs the long one.

load lib/helpers

@test "reloads, scaling, upgrades, kills and stops under load lose nothing" {
  "$BATS_TEST_DIRNAME/soak" --short
}

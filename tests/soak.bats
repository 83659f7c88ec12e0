#!/usr/bin/env bats
# soak.bats - runs the short form of tests/soak; make soak runs the long one.
# run-checks: alone

load lib/helpers

@test "reloads, scaling, upgrades, kills and stops under load lose nothing" {
  "$BATS_TEST_DIRNAME/soak" --short
}

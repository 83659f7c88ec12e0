#!/usr/bin/env bats
# soak.bats - the short form of tests/soak; make soak is the long one.
# run-checks: alone

load lib/helpers

@test "nothing is lost through reloads, resizes, upgrades, kills and stops under load" {
  "$BATS_TEST_DIRNAME/soak" --short
}

#!/bin/sh
# Checks and tests the alert rules with promtool.
set -eu

. "$(dirname "$0")/debian-tool.sh"
debian_tool promtool prometheus

cd "$(dirname "$0")/../deploy/prometheus"
promtool check rules alerts.yml
promtool test rules alerts.test.yml

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a command and says nothing unless it fails.
output=$("$@" 2>&1) && exit 0
status=$?
printf '%s\n' "$output"
exit $status

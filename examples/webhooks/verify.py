#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that what came to a webhook is milkrun's, unchanged and fresh.

usage: MILKRUN_WEBHOOK_SECRET=whsec_... verify.py HEADERS BODY

HEADERS: a file with the request's headers, "Name: value" on each line. BODY: a file with the bytes of the
body as they came, before anything has read it as JSON. Ends with 0 and the notice's id, or with 1 and why not.
"""
import hashlib
import hmac
import json
import os
import sys
import time

AGE_MAX_S = 300  # of a signature, to either side: clocks differ


def read_signature(header):
    """t and all v1 of "t=1795442700,v1=5945b5...,v1=..."; None when it is not so."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()):
        return None
    return times[0], [value for name, _, value in parts if name == "v1"]


def verify(secret, header, body, now_s):
    """None when all is well, else what is wrong."""
    signature = read_signature(header)
    if signature is None:
        return "malformed signature"
    sent_at, candidates = signature
    expected = hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    # compare_digest takes the same time wherever two texts differ. While a secret's rotation has its grace,
    # there are two v1: one that fits is enough.
    matches = [hmac.compare_digest(expected.encode(), candidate.encode()) for candidate in candidates]
    if not any(matches):
        return "wrong signature"
    if abs(now_s - int(sent_at)) > AGE_MAX_S:
        return "too old"  # somebody may be sending again what he has seen
    return None


def main():
    with open(sys.argv[1], encoding="latin-1", newline="") as file:
        lines = [line.partition(":") for line in file.read().splitlines()]
    with open(sys.argv[2], "rb") as file:
        body = file.read()
    headers = [value.strip() for name, _, value in lines if name.lower() == "milkrun-signature"]
    if len(headers) != 1:
        return "no signature"
    problem = verify(os.environ["MILKRUN_WEBHOOK_SECRET"], headers[0], body, time.time())
    if problem is None:
        # Notices may come twice: whoever acts on them remembers the id.
        print(json.loads(body)["notice_id"])
    return problem


if __name__ == "__main__":
    sys.exit(main())

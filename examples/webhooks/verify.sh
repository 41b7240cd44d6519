#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks that what came to a webhook is milkrun's, unchanged and fresh. Needs openssl.
#
# usage: MILKRUN_WEBHOOK_SECRET=whsec_... verify.sh HEADERS BODY
#
# HEADERS: a file with the request's headers, "Name: value" on each line. BODY: a file with the bytes of the
# body as they came, before anything has read it as JSON. Ends with 0 and the notice's id, or with 1 and why not.
set -eu
export LC_ALL=C
age_max_s=300 # of a signature, to either side: clocks differ

refuse() {
    echo "$1" >&2
    exit 1
}

append_octal() {
    octal="$octal\\0$(($1 / 64 * 100 + $1 / 8 % 8 * 10 + $1 % 8))"
}

# The bytes of key $1, each XOR $2, filled up with $2 to the 64 bytes of a block.
pad() {
    octal=''
    count=0
    for byte in $(printf %s "$1" | od -An -v -tu1); do
        append_octal $((byte ^ $2))
        count=$((count + 1))
    done
    while [ $count -lt 64 ]; do
        append_octal "$2"
        count=$((count + 1))
    done
    printf %b "$octal"
}

# HMAC-SHA256 of standard input with key $1, at most 64 bytes. By hand, because others on this machine can see
# the arguments of `openssl -hmac KEY`.
hmac() {
    {
        pad "$1" 92
        {
            pad "$1" 54
            cat
        } | openssl dgst -sha256 -binary
    } | openssl dgst -sha256 -r | cut -d' ' -f1
}

# Compares what a random key makes of the texts: how long that takes says nothing about the texts.
is_equal() {
    [ "$(printf %s "$1" | hmac "$blind")" = "$(printf %s "$2" | hmac "$blind")" ]
}

headers=$1
body=$2
blind=$(openssl rand -hex 32)
signature=$(tr -d '\r' <"$headers" | sed -n 's/^[Mm][Ii][Ll][Kk][Rr][Uu][Nn]-[Ss][Ii][Gg][Nn][Aa][Tt][Uu][Rr][Ee]: *//p')
[ -n "$signature" ] || refuse "no signature"
[ "$(printf '%s\n' "$signature" | wc -l)" -eq 1 ] || refuse "no signature"

sent_at=$(printf %s "$signature" | tr ',' '\n' | sed -n 's/^t=//p')
case $sent_at in
    '' | *[!0-9]*) refuse "malformed signature" ;;
esac
expected=$({
    printf '%s.' "$sent_at"
    cat "$body"
} | hmac "$MILKRUN_WEBHOOK_SECRET")

# While a secret's rotation has its grace, there are two v1: one that fits is enough.
is_right=false
for candidate in $(printf %s "$signature" | tr ',' '\n' | sed -n 's/^v1=//p'); do
    if is_equal "$candidate" "$expected"; then is_right=true; fi
done
$is_right || refuse "wrong signature"

age_s=$(($(date +%s) - sent_at))
if [ "$age_s" -gt $age_max_s ] || [ "$age_s" -lt -$age_max_s ]; then
    refuse "too old" # somebody may be sending again what he has seen
fi
# Notices may come twice: whoever acts on them remembers the id.
sed -n 's/.*"notice_id":"\([^"]*\)".*/\1/p' "$body"

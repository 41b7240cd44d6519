// SPDX-License-Identifier: Apache-2.0
// A fresh self-signed certificate for 127.0.0.1 and localhost, good for a day.
#pragma once

// Heap texts in PEM; free with mem_free.
void test_certificate_make(char **ret_certificate, char **ret_key);
// One that was good until a minute ago.
void test_certificate_make_expired(char **ret_certificate, char **ret_key);

// SPDX-License-Identifier: Apache-2.0
// A fresh self-signed certificate for 127.0.0.1 and localhost, good for a day.
#pragma once

// Heap texts in PEM; free with mem_free.
void test_certificate_make(char **ret_certificate, char **ret_key);

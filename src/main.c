// SPDX-License-Identifier: Apache-2.0
// The one binary: everything is in cli/.
#include "cli/cli.h"

int main(int argument_count, char **arguments)
{
    return cli_main(argument_count, arguments);
}

"""`python -m jaxgen`: the `jaxgen` command, even where its script is not on the PATH."""

import sys

from jaxgen.command.cli import main

if __name__ == '__main__':
  sys.exit(main())

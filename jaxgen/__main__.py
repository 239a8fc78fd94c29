"""`python -m jaxgen`: the `jaxgen` command, also where its script is not on the path."""

import sys

from jaxgen.command.cli import main

if __name__ == '__main__':
  sys.exit(main())

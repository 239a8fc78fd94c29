"""launch.py with one more system, `toy`: python launch_toy.py --config=toy_system.py ..."""

import sys

from jaxgen.command.launcher import main
from jaxgen.systems import SYSTEMS

SYSTEMS['toy'] = 'toy_system'

if __name__ == '__main__':
  sys.exit(main(sys.argv))

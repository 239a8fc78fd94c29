"""What commands over several inputs share."""

import signal

import pytest

from jaxgen.command.batch import batch
from jaxgen.terminal.signals import Stopped


@pytest.mark.parametrize(
  ('options', 'told'),
  [
    ({}, 'the same command to continue'),
    ({'overwrite': True}, 'without --overwrite, which starts over, to continue'),
    ({'kept': False}, 'The same command starts over'),
  ],
)
def test_a_stop_tells_how_to_go_on(options, told, capsys):
  with pytest.raises(Stopped), batch(False, 'picture', **options) as work:
    signal.raise_signal(signal.SIGINT)
    list(work.bars('a.png')([1], 'looking'))
  assert told in ' '.join(capsys.readouterr().err.split())

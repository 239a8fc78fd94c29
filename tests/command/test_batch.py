"""What commands over several inputs share."""

import signal

import pytest

from jaxgen.command.batch import batch
from jaxgen.terminal.signals import Stopped


@pytest.mark.parametrize(
  ('overwrite', 'told'),
  [
    (False, 'the same command to go on'),
    (True, 'without --overwrite, which begins anew, to go on'),
  ],
)
def test_a_stop_tells_how_to_go_on(overwrite, told, capsys):
  with pytest.raises(Stopped), batch(False, 'picture', overwrite=overwrite) as work:
    signal.raise_signal(signal.SIGINT)
    list(work.bars('a.png')([1], 'looking'))
  assert told in ' '.join(capsys.readouterr().err.split())

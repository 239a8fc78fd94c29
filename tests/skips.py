"""Which tests may be skipped where everything that can be installed is: a plugin that conftest.py loads.

Under CI a skip for any other reason, or a run in which no test passed, makes the run fail.
"""

import os

import pytest

# What a machine may lack, as the reasons of skips name it.
MAY_LACK = ('PyTorch', '$JAXGEN_DATA', 'GPU', 'Chromium', '[landmarks]')


class Skips:
  """Counts what ran, and remembers skips that nothing excuses."""

  def __init__(self):
    self.passed, self.unexcused = 0, []

  def pytest_runtest_logreport(self, report):
    """Of every phase of every test."""
    if report.passed and report.when == 'call':
      self.passed += 1
    if report.skipped and not hasattr(report, 'wasxfail'):
      reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
      if not any(text in reason for text in MAY_LACK):
        self.unexcused.append(f'{report.nodeid}: {reason}')

  @pytest.hookimpl(tryfirst=True)
  def pytest_sessionfinish(self, session, exitstatus):
    """Turns a success into a failure where it is none."""
    if exitstatus == pytest.ExitCode.OK and (self.unexcused or not self.passed):
      session.exitstatus = pytest.ExitCode.TESTS_FAILED

  def pytest_terminal_summary(self, terminalreporter):
    """Says why."""
    for line in self.unexcused:
      terminalreporter.write_line(f'skipped without an excuse (tests/skips.py): {line}', red=True)
    if not self.passed:
      terminalreporter.write_line('no test passed', red=True)


def register(config):
  """Called by conftest.py; the workers of pytest-xdist report to their controller."""
  if os.environ.get('CI') and not hasattr(config, 'workerinput'):
    config.pluginmanager.register(Skips())

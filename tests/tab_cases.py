"""A tab of the page without a server: its jobs as plain functions."""

import gradio as gr

from jaxgen.demo.jobs import Jobs
from jaxgen.demo.runs import open_runs
from jaxgen.demo.tab import Page


class Captured(Page):
  """A page that keeps what its jobs do, by name."""

  def __init__(self, folder, runs=()):
    super().__init__(folder, dict(runs), Jobs(folder))
    self.functions, self._count = {}, 0

  def job(self, name, button, function, inputs, outputs, also=()):
    self.functions[name] = function

  def folder(self):
    self._count += 1
    found = self.files / str(self._count)
    found.mkdir()
    return found


def jobs_of_all(tabs, folder, *paths):
  """The jobs of several tabs, each with a folder of its own; they know the runs of `--run`."""
  found, runs = {}, open_runs(paths, tabs)
  for i, tab in enumerate(tabs):
    (folder / f'tab {i}').mkdir()
    found |= jobs_of(tab, folder / f'tab {i}', runs)
  return found


def jobs_of(tab, folder, runs=()):
  """The functions of a tab's jobs by name; what they are told of progress is passed over."""
  page = Captured(folder, runs)
  with gr.Blocks(analytics_enabled=False):
    tab.build(page)
  return {
    name: lambda *values, run=run: run(*values, progress=lambda done, total: None)
    for name, run in page.functions.items()
  }

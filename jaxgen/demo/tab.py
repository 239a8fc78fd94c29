"""What a tab of the page is, and what it may use.

A system offers `systems/<system>/tabs.py` with `TABS`, a tuple of `Tab`. It imports gradio at its top (it is
imported for the page alone), `jaxgen` for the functions for people, `jaxgen.demo`, and nothing else of any
system. A tab's `build` lays its components out, fields on the left and answers on the right, and wires its
button::

  def _build(page: Page) -> None:
    with gr.Row():
      with gr.Column():
        word = gr.Textbox(label='Word')
        page.examples([word], [['bonjour']])
        net = page.weights('handwriting')
        button = page.button('Shout')
      with gr.Column():
        answer = gr.File(label='The word, louder')

    def shout(word: str, net: str, *, progress: Progress) -> str:
      target = page.folder() / 'louder.png'
      jaxgen.shout(required(word, 'word'), target, weights=page.chosen(net), progress=progress)
      return str(target)

    page.job('shout', button, shout, [word, net], [answer])

  TABS = (Tab('Shout', 'handwriting', _build, 'Says a word louder. Latin letters alone.'),)

The function of a job is plain Python, in a thread of its own. It takes the values of the inputs, and
`progress` to hand on; it returns the value of the one output, or a tuple of those of several. Files that go
out are written below `page.folder()`, by the names that downloads are to have. A UserError is shown with its
very words, so what a function for people checks is not checked twice, and what it warns of by `page.warn`.
`systems/srsenet/tabs.py` is a whole one.
"""

from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from jaxgen.demo.jobs import Jobs, JobStopped, named_short, told
from jaxgen.errors import UserError
from jaxgen.task import Trained

SHIPPED = 'comes with jaxgen'


def none_missing() -> str | None:
  """Of a tab that needs no extra."""
  return None


def required(value: Any, what: str) -> Any:
  """A value that a person has given.

  Raises:
    UserError: they have not; `what` names it.
  """
  if value is None or value == '':
    raise UserError(f'no {what} is given yet')
  return value


def whole(value: float | None, what: str) -> int:
  """A whole number that a person has given.

  Raises:
    UserError: there is none, or it is not whole; `what` names it.
  """
  given = required(value, what)
  if given != int(given):
    raise UserError(f'{what} {given} is no whole number')
  return int(given)


class Tab(NamedTuple):
  """One tab.

  Attributes:
    title: as it is clicked.
    system: whose runs of `--run` it takes.
    build: adds its components, within the tab.
    about: one or two sentences: what it does, and where it ends. Markdown.
    missing: the line that says what is to be installed first, or None.
    place: tabs stand in the order of this number.
    systems: further ones whose runs it takes.
  """

  title: str
  system: str
  build: Callable[['Page'], None]
  about: str
  missing: Callable[[], str | None] = none_missing
  place: int = 50
  systems: tuple[str, ...] = ()


class Page:
  """What a tab may use.

  Args:
    files: the temporary folder, which goes with the page.
    runs: name -> trained run of a person's own.
    jobs: the work that is done.
  """

  def __init__(self, files: Path, runs: Mapping[str, Trained], jobs: Jobs):
    self.files = files
    self.jobs = jobs
    self._runs = runs
    self._stops: dict[int, gr.Button] = {}

  def weights(self, *systems: str) -> gr.Dropdown:
    """A choice among the nets that come with jaxgen and the runs of systems; hidden where there is none."""
    names = [name for name, run in self._runs.items() if run.config.system in systems]
    return gr.Dropdown(
      [SHIPPED, *names], value=SHIPPED, label='Net', interactive=True, visible=bool(names)
    )

  def chosen(self, name: str | None) -> Trained | None:
    """The weights of a choice of `weights`, as functions for people take them.

    Raises:
      UserError: there is no such run.
    """
    if name in (None, '', SHIPPED):
      return None
    if name not in self._runs:
      raise UserError(f'{name} is no run of this page: name it with --run')
    return self._runs[name]

  def picture(self, label: str) -> gr.Image:
    """A field for a picture, whose value is the path of the very file, unread: functions for people read it."""
    field = gr.Image(
      type='filepath',
      image_mode=None,
      label=label,
      sources=['upload', 'clipboard'],
      elem_classes='below-label',
    )
    _as_given(field, lambda payload: payload and payload.path)
    return field

  def button(self, label: str) -> gr.Button:
    """A button that starts a job, with another to stop it."""
    with gr.Row():
      button = gr.Button(label, variant='primary', scale=3)
      self._stops[button._id] = gr.Button('Stop', variant='stop', visible=False, min_width=80)
    return button

  def job(
    self,
    name: str,
    button: gr.Button,
    function: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    also: Sequence[Any] = (),
  ) -> None:
    """Wires a button: the function runs when its turn comes, tells of its progress, and can be stopped.

    Args:
      name: of the kind of job, of which one runs at a time; also the endpoint's of the page.
      button: of `button`.
      function: `function(*values of inputs, progress=...)`, see above.
      inputs: components.
      outputs: components.
      also: further events that start it, as a slider's `release`.
    """
    stop = self._stops[button._id]
    for field in inputs:
      if isinstance(field, gr.Slider | gr.Number):
        _as_given(field, lambda payload: payload)

    def wait(request: gr.Request) -> tuple[gr.Button, gr.Button]:
      self.jobs.wait(_session(request), name)
      return gr.Button(interactive=False), gr.Button('Stop', interactive=True, visible=True)

    def run(request: gr.Request, bar: Any = gr.Progress(), *values: Any) -> Any:  # noqa: B008
      def tell(done: int, total: int) -> None:
        bar(done / total if total else 0.0, desc='Working')

      return self._guarded(
        lambda: self.jobs.run(
          _session(request), name, lambda progress: function(*values, progress=progress), tell
        ),
        len(outputs),
      )

    def end() -> tuple[gr.Button, gr.Button]:
      return gr.Button(interactive=True), gr.Button(visible=False)

    def ask(request: gr.Request) -> gr.Button:
      self.jobs.stop(_session(request), name)
      return gr.Button('Stopping', interactive=False)

    hidden: Any = {'queue': False, 'show_progress': 'hidden'}
    buttons = [button, stop]
    begun = gr.on([button.click, *also], wait, None, buttons, api_visibility='private', **hidden)
    ran = begun.then(
      run,
      list(inputs),
      list(outputs),
      api_name=name,
      concurrency_limit=1,
      show_progress_on=outputs[0],
      trigger_mode='always_last',  # what was asked for meanwhile, as by a slider, is done next
    )
    for ended in (ran.success, ran.failure):  # of one that failed, Gradio's page passes over `then`
      ended(end, None, buttons, api_visibility='private', **hidden)
    stop.click(ask, None, stop, api_name=f'{name}_stop', **hidden)

  def _guarded(self, work: Callable[[], Any], count: int) -> Any:
    """What the work returns; what it raises as the page shows it."""
    try:
      return work()
    except JobStopped:
      gr.Info('Stopped.', duration=3)
      return gr.skip() if count == 1 else (gr.skip(),) * count
    except Exception as error:
      words = escape(told(error, self.files), quote=False)
      raise gr.Error(words, duration=None, title='', print_exception=False) from error

  def warn(self, line: str) -> None:
    """Shows what a function for people tells by `warn`, from within a job."""
    words = escape(named_short(line, self.files), quote=False)
    gr.Warning(words, duration=None)

  def folder(self) -> Path:
    """A new folder for the files of the job that calls this; it goes when the next one begins."""
    return self.jobs.new_folder()

  def examples(self, inputs: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """Values of inputs that a click fills in; it stands below them."""
    gr.Examples(
      [list(row) for row in rows], list(inputs), cache_examples=False, api_visibility='private'
    )


def _as_given(field: Any, value: Callable[[Any], Any]) -> None:
  """Hands a field's value on unchecked: functions for people refuse it in the words of the commands.

  The field's class does so, for Gradio makes a field anew from its class where an example or a job changes it.
  """
  kind = type(field)
  changed = {'preprocess': lambda _, payload: value(payload)}
  # Not by Gradio's metaclass, which writes a file beside the module of each class.
  field.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), changed)


def _session(request: gr.Request) -> str:
  return str(request.session_hash)

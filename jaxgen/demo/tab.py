"""The interface of a tab of the page, and the helpers that it may use.

A system provides `systems/<system>/tabs.py` with `TABS`, a tuple of `Tab`. It imports gradio at its top (it is
imported only for the page), `jaxgen` for the public functions, `jaxgen.demo`, and nothing else from any
system. A tab's `build` lays out its components, inputs on the left and outputs on the right, and wires its
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

The function of a job is plain Python and runs in its own thread. It takes the values of the inputs, and
`progress` to pass on; it returns the value of a single output, or a tuple for several. Output files are
written below `page.folder()`, with the names that downloads should have. A UserError is shown verbatim, so
checks in a public function need not be repeated, and its warnings are shown by `page.warn`.
`systems/srsenet/tabs.py` is a complete example.
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
  """`Tab.missing` of a tab that needs no extra."""
  return None


def required(value: Any, what: str) -> Any:
  """A value that the user must provide.

  Raises:
    UserError: it is missing; `what` names it.
  """
  if value is None or value == '':
    raise UserError(f'no {what} is given yet')
  return value


def whole(value: float | None, what: str) -> int:
  """A whole number that the user must provide.

  Raises:
    UserError: it is missing or not whole; `what` names it.
  """
  given = required(value, what)
  if given != int(given):
    raise UserError(f'{what} {given} is not a whole number')
  return int(given)


class Tab(NamedTuple):
  """One tab.

  Attributes:
    title: its label.
    system: the system whose runs of `--run` it accepts.
    build: adds its components, within the tab.
    about: one or two sentences: what it does, and its limits. Markdown.
    missing: returns the message that says what must be installed first, or None.
    place: tabs are ordered by this number.
    systems: further systems whose runs it accepts.
  """

  title: str
  system: str
  build: Callable[['Page'], None]
  about: str
  missing: Callable[[], str | None] = none_missing
  place: int = 50
  systems: tuple[str, ...] = ()


class Page:
  """The helpers that a tab may use.

  Args:
    files: the temporary folder, removed with the page.
    runs: name -> the user's own trained run.
    jobs: the page's jobs.
  """

  def __init__(self, files: Path, runs: Mapping[str, Trained], jobs: Jobs):
    self.files = files
    self.jobs = jobs
    self._runs = runs
    self._stops: dict[int, gr.Button] = {}

  def weights(self, *systems: str) -> gr.Dropdown:
    """A choice between the shipped network and the user's runs of these systems; hidden without such runs."""
    names = [name for name, run in self._runs.items() if run.config.system in systems]
    return gr.Dropdown(
      [SHIPPED, *names], value=SHIPPED, label='Net', interactive=True, visible=bool(names)
    )

  def chosen(self, name: str | None) -> Trained | None:
    """The weights chosen in `weights`, in the form that public functions take.

    Raises:
      UserError: there is no such run.
    """
    if name in (None, '', SHIPPED):
      return None
    if name not in self._runs:
      raise UserError(f'{name} is not a run of this page: add it with --run')
    return self._runs[name]

  def picture(self, label: str) -> gr.Image:
    """A field for a picture, whose value is the path of the original file, which public functions read."""
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
    """A button that starts a job, with another that stops it."""
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
    """Wires a button: the function runs when its turn comes, reports its progress, and can be stopped.

    Args:
      name: name of the kind of job, of which one runs at a time; also of the page's endpoint.
      button: made by `button`.
      function: `function(*values of inputs, progress=...)`, see above.
      inputs: components.
      outputs: components.
      also: further events that start it, such as a slider's `release`.
    """
    stop = self._stops[button._id]
    for field in inputs:
      if isinstance(field, gr.Slider | gr.Number):
        _as_given(field, lambda payload: payload)

    def wait(request: gr.Request) -> tuple[gr.Button, gr.Button]:
      self.jobs.wait(_session(request), name)
      return gr.Button(interactive=False), gr.Button('Stop', interactive=True, visible=True)

    def run(request: gr.Request, bar: Any = gr.Progress(), *values: Any) -> Any:  # noqa: B008 (Gradio's own way)
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
      trigger_mode='always_last',  # the latest request, as from a slider, runs next
    )
    for ended in (ran.success, ran.failure):  # Gradio's page skips `then` after a failure
      ended(end, None, buttons, api_visibility='private', **hidden)
    stop.click(ask, None, stop, api_name=f'{name}_stop', **hidden)

  def _guarded(self, work: Callable[[], Any], count: int) -> Any:
    """The result of the work; its errors are converted for display on the page."""
    try:
      return work()
    except JobStopped:
      gr.Info('Stopped.', duration=3)
      return gr.skip() if count == 1 else (gr.skip(),) * count
    except Exception as error:
      words = escape(told(error, self.files), quote=False)
      raise gr.Error(words, duration=None, title='', print_exception=False) from error

  def warn(self, line: str) -> None:
    """Shows a message that a public function passes to `warn`, from within a job."""
    words = escape(named_short(line, self.files), quote=False)
    gr.Warning(words, duration=None)

  def folder(self) -> Path:
    """A new folder for the files of the calling job; it is removed when the next one begins."""
    return self.jobs.new_folder()

  def examples(self, inputs: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """Example values, shown below the inputs and filled in by a click."""
    gr.Examples(
      [list(row) for row in rows], list(inputs), cache_examples=False, api_visibility='private'
    )


def _as_given(field: Any, value: Callable[[Any], Any]) -> None:
  """Passes on a field's value unchecked: public functions reject it with the same messages as the commands.

  The field's class does so, since Gradio recreates a field from its class when an example or a job changes it.
  """
  kind = type(field)
  changed = {'preprocess': lambda _, payload: value(payload)}
  # Not with Gradio's metaclass, which writes a file next to the module of each class.
  field.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), changed)


def _session(request: gr.Request) -> str:
  return str(request.session_hash)

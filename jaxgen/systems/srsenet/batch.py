"""The files of a plan, one after the other. JAX is imported for the first that is to be upscaled."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxgen.errors import UserError
from jaxgen.files import is_pattern
from jaxgen.photos import Size, read_size
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.outputs import missing_outputs
from jaxgen.systems.srsenet.plan import FileJob, Plan

if TYPE_CHECKING:
  from jaxgen.systems.srsenet.tiling import Upscaler


@dataclasses.dataclass
class Tally:
  """What became of the files of a plan so far.

  Attributes:
    upscaled: how many were written.
    existing: how many were there already.
    failed: the reason for each that could not be upscaled.
  """

  upscaled: int = 0
  existing: int = 0
  failed: list[str] = dataclasses.field(default_factory=list)


class Bars:
  """Progress that names the file in hand.

  Args:
    progress: `Tools.progress`.

  Attributes:
    file: in hand.
  """

  def __init__(self, progress: Callable[..., Iterator]):
    self._progress, self.file = progress, ''

  def __call__(self, items: Iterable, description: str, total: int | None = None) -> Iterator:
    """As `Tools.progress`."""
    return self._progress(
      items, f'{description} of {self.file}' if self.file else description, total
    )


class Host(NamedTuple):
  """What a batch is lent.

  Attributes:
    make_upscaler: loads the net; called once, where there is something to upscale.
    bars: of that net.
    say: is told of each file written.
    warn: is told of each file that failed, and of what was to be noted of one that did not.
    check: called before each file; may raise to stop.
  """

  make_upscaler: Callable[[], 'Upscaler']
  bars: Bars
  say: Callable[[str], None]
  warn: Callable[[str], None]
  check: Callable[[], None]


def run(plan: Plan, options: apply.Options, tally: Tally, host: Host) -> None:
  """Upscales every file of a plan; a bad one is told of, and the rest goes on.

  Args:
    plan: which files.
    options: how.
    tally: counts what became of them, also where a stop signal ends this.
    host: what it needs.
  """

  def fail(reason: str) -> None:
    tally.failed.append(reason)
    host.warn(f'error: {reason}')

  for name in plan.missing:
    more = ', and nothing matches it as a pattern' if is_pattern(name) else ''
    fail(f'{name}: no such file or folder{more}')
  upscaler = None
  for number, (job, size, missing) in _waiting(plan, options, tally, fail, host.check):
    upscaler = upscaler or host.make_upscaler()
    host.bars.file = job.source.name
    try:
      apply.check_fits(job.source, size, upscaler, options)
      apply.check_writable(job.target.parent)
      wrote = apply.upscale_file(job, upscaler, options, missing, host.warn)
    except (UserError, OSError) as error:
      fail(str(error))
      continue
    tally.upscaled += 1
    host.say(f'({number}/{len(plan.jobs)}) {wrote}' if len(plan.jobs) > 1 else wrote)


def _waiting(
  plan: Plan,
  options: apply.Options,
  tally: Tally,
  fail: Callable[[str], None],
  check: Callable[[], None],
) -> Iterator[tuple[int, tuple[FileJob, Size, set[Path]]]]:
  """The files whose outputs are not all there, by their numbers; with their sizes and what is missing."""
  for number, job in enumerate(plan.jobs, start=1):
    check()
    try:
      missing = missing_outputs(job, options.scale, options.sheet, options.overwrite)
      size = read_size(job.source) if missing else None
    except (UserError, OSError) as error:
      fail(str(error))
      continue
    if size is None:
      tally.existing += 1
    else:
      yield number, (job, size, missing)

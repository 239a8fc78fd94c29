"""Makes a data set of synthetic clips in which every face of a cast says its words."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.synthesis.cast import Cast, Person
from jaxgen.systems.lipgen.synthesis.chain import Chain, Face, face_in
from jaxgen.systems.lipgen.synthesis.clip_files import pasted, write_clip
from jaxgen.systems.lipgen.synthesis.lips import at_rest
from jaxgen.systems.lipgen.synthesis.manifest import Manifest
from jaxgen.systems.lipgen.synthesis.pairing import Clip
from jaxgen.systems.lipgen.synthesis.portraits import UnreadableError
from jaxgen.systems.lipgen.synthesis.spoken_clips import Said, Saying
from jaxgen.systems.lipgen.warping.placing import placed

TOGETHER = 16  # clips rendered at once; an interruption loses no more than these


class Made(NamedTuple):
  """The outcome for one clip.

  Attributes:
    clip: the clip.
    face: the name of its face.
    why: '' if it was written, otherwise why there is no face.
    unreadable: whether the reason is that the face's file cannot be read.
    notes: what a user should know of how the face was found.
  """

  clip: Clip
  face: str
  why: str = ''
  unreadable: bool = False
  notes: tuple[str, ...] = ()


def make_clips(
  chain: Chain, cast: Cast, say: Saying, clips: Sequence[Clip], manifest: Manifest
) -> Iterator[Made]:
  """Makes clips and writes them and their rows.

  Args:
    chain: the nets.
    cast: the faces.
    say: gives what is heard in a clip.
    clips: clips left to be made, grouped by face.
    manifest: the folder's manifest.

  Yields:
    The outcome for each clip, once it and its row are written.

  Raises:
    OSError: a file cannot be written.
  """

  def written(works: Sequence[_Work]) -> Iterator[Made]:
    rendered = _rendered(chain, say, works)
    manifest.begin(len(cast.names))
    for work, said, frames in zip(works, *rendered, strict=True):
      name = work.face.name
      write_clip(manifest.folder, work.clip, name, said, pasted(work.person.crop, frames, framing))
      manifest.add(work.clip, name, work.picture, said)
      yield Made(work.clip, name, notes=work.person.notes)

  waiting: list[_Work] = []
  framing = chain.framing._replace(top=chain.framing.top - cast.higher)
  for number, own in groupby(clips, lambda clip: clip.face):
    mine, name = list(own), cast.names[number]
    picture = cast.picture(number)
    try:
      person = cast[number]
    except DataError as error:
      unreadable = isinstance(error, UnreadableError)
      (manifest.unreadable if unreadable else manifest.dropped)[name] = str(error)
      yield from (Made(clip, name, str(error), unreadable) for clip in mine)
      continue
    face = face_in(person.crop, person.points, framing, name)
    waiting += [_Work(clip, person, face, picture) for clip in mine]
    while len(waiting) >= TOGETHER:
      yield from written(waiting[:TOGETHER])
      waiting = waiting[TOGETHER:]
  if waiting:
    yield from written(waiting)


class _Work(NamedTuple):
  """A clip, its face as a person and as the renderer sees it, and the digest of its picture."""

  clip: Clip
  person: Person
  face: Face
  picture: str


def _rendered(
  chain: Chain, say: Saying, works: Sequence[_Work]
) -> tuple[list[Said], list[np.ndarray]]:
  """The audio of each clip, and the clips' frames, rendered together."""
  said = [say(work.clip) for work in works]
  points = [
    # Offsets are relative to shut lips, but those in a picture may be open.
    placed(at_rest(work.face.points), work.clip.gain * chain.lips(one.mel)[0])
    for work, one in zip(works, said, strict=True)
  ]
  numbers = [work.clip.number for work in works]
  return said, chain.render([work.face for work in works], points, numbers)


def synthesise(
  chain: Chain,
  cast: Cast,
  say: Saying,
  left: Sequence[Clip],
  manifest: Manifest,
  shown: Callable[[Iterable], Iterable] = iter,
) -> int:
  """Makes the missing clips of a cast.

  Args:
    chain: see `make_clips`.
    cast: see `make_clips`.
    say: see `make_clips`.
    left: result of `manifest.left`.
    manifest: see `make_clips`.
    shown: wraps the iterable of clips to show progress.

  Returns:
    How many were made.

  Raises:
    DataError: no face is visible in any picture.
  """
  made = 0
  try:
    for one in shown(make_clips(chain, cast, say, left, manifest)):
      made += not one.why
  finally:
    manifest.end(len(cast.names))
  if not manifest.rows:
    why = next(iter([*manifest.dropped.values(), *manifest.unreadable.values()]))
    raise DataError(f'none of the pictures can be used: {why}')
  return made

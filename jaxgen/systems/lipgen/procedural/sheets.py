"""Sheets of procedural speakers for a person to look at."""

from collections.abc import Sequence

import numpy as np

from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.sheets import stacked
from jaxgen.systems.lipgen.procedural.articulation import REST
from jaxgen.systems.lipgen.procedural.takes import Speech, Take, frames_of, take
from jaxgen.systems.lipgen.speech.visemes import VisemeTable, find_visemes


def sheet(
  speeches: Sequence[Speech],
  num_clips: int = 4,
  *,
  shown: int = 12,
  visemes: VisemeTable | None = None,
) -> np.ndarray:
  """Clips as rows of frames, each under its word and its visemes.

  Args:
    speeches: the sets of clips, one below the other.
    num_clips: of each, from its first on.
    shown: frames of a clip, evenly spaced over the word and a little more on either side.
    visemes: the table that names them; by default the package's.

  Returns:
    uint8 [H, W, 3].

  Raises:
    DataError: a phoneme is in no group of the table.
  """
  table = visemes or find_visemes()
  rows = []
  for speech in speeches:
    for number in range(num_clips):
      one = take(speech, number)
      frames = frames_of(speech, one)
      (start, end), *_ = one.spans
      first, last = max(start - 2.0, 0.0), min(end + 1.0, len(frames) - 1.0)
      which = np.round(np.linspace(first, last, shown)).astype(int)
      cells = [_named(frames[i], _seen_at(one, i + 0.5, table)) for i in which]
      grid = image_grid(np.stack(cells) / 255, shown, pad=2)
      phonemes = speech.dictionary.phonemes(speech.words[one.labels[0]])
      numbers = ' '.join(map(str, table.sequence(phonemes)))
      about = f'{speech.words[one.labels[0]]}: {" ".join(phonemes)}, visemes {numbers}'
      text = f'{about}; speaker {one.who.look}{one.who.number}, frames {which[0]} to {which[-1]}'
      rows.append(np.repeat(titled(grid, text)[..., None], 3, axis=2))
  return stacked(rows)


def _named(frame: np.ndarray, name: str) -> np.ndarray:
  """A frame above the name of what is seen in it."""
  return np.concatenate([frame, titled(frame[:0], name)])


def _seen_at(one: Take, moment: float, table: VisemeTable) -> str:
  """The viseme that is spoken at a moment, by its phonemes; '-' for a pause, '...' beside the word."""
  at = int(np.searchsorted(one.timed.times[:, 1], moment))
  phoneme = one.timed.phonemes[min(at, len(one.timed.phonemes) - 1)]
  if phoneme == REST:
    return '-'
  if not one.spans[0][0] <= moment <= one.spans[0][1]:
    return '...'
  return table.names[table.of(phoneme)]

"""The faces that speak: pictures in a folder, or speakers drawn by jaxgen."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.clips import lrw
from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.procedural.articulation import Mouth, Timed
from jaxgen.systems.lipgen.procedural.drawing import random_camera
from jaxgen.systems.lipgen.procedural.geometry import Pose, random_pose
from jaxgen.systems.lipgen.procedural.identity import find_look, speaker
from jaxgen.systems.lipgen.procedural.takes import WORDS, Speech, Take, contours_of, frames_of
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.synthesis.outputs import in_folder, told_of
from jaxgen.systems.lipgen.synthesis.portraits import Portrait, finder_kind, make_finder
from jaxgen.systems.lipgen.units import MOUTH
from jaxgen.systems.lipgen.video.crops import Crops, cut
from jaxgen.systems.lipgen.video.ledger import digest_of

# Rows by which the mouth lies higher in each kind of crop than in those of `jaxgen mouths`.
LIKE = {'mouths': 0, 'lrw': LIPS.top + LIPS.size // 2 - lrw.CENTRE[0]}
DRAWN = 'drawn'
# Speaker numbers that no reader or renderer is trained or evaluated on, with a separate range per seed.
FIRST, OF_SEED = 3_000_000, 1_000_000
_NO_TEXT = 'Cc', 'Cs', 'Zl', 'Zp'  # controls, surrogates, line and paragraph separators
_SPELLED = re.compile(rf'{DRAWN}:(\d+)(?::(\w+))?')


class Person(NamedTuple):
  """A face.

  Attributes:
    crop: uint8 [96, 96] grey, its mouth as cropped by `jaxgen mouths`.
    points: float32 [40, 2], lip contours in the crop.
    notes: what a user should know of how the face was found.
  """

  crop: np.ndarray
  points: np.ndarray
  notes: tuple[str, ...] = ()


class Cast(Protocol):
  """Faces by number.

  Attributes:
    names: distinct names of all faces.
    higher: rows by which mouths lie higher than in crops of `jaxgen mouths`.
    finder: the face finder, see `portraits.finder_kind`; DRAWN if there are no pictures.
    pixels: which pixels of a picture crops are made from; '' if there are no pictures.
    told: notes for the user about files that are not faces, a line each.
  """

  names: list[str]
  higher: int
  finder: str
  pixels: str
  told: list[str]

  def __getitem__(self, number: int) -> Person:
    """A face; raises UnreadableError for an unreadable file, another DataError if no face is visible."""
    ...

  def picture(self, number: int) -> str:
    """A digest of the contents of a face's file; '' if there is no file or it cannot be read."""
    ...


class Drawn:
  """Speakers drawn by jaxgen.

  Args:
    count: number of speakers.
    look: their family.
    seed: seed of lighting, cameras and poses; each seed has its own speakers.
    higher: see `Cast`.

  Raises:
    ConfigError: the look does not exist.
  """

  def __init__(self, count: int, look: str, seed: int, higher: int = 0):
    find_look(look)
    self.higher, self.finder, self.pixels = higher, DRAWN, ''
    self.told: list[str] = []
    self._first = FIRST + OF_SEED * seed
    self._speech = Speech(
      WORDS, find_dictionary(), seed, self._first, count, look, MOUTH, 1, (higher, 0, MOUTH)
    )
    self.names = [f'{look}{self._first + i}' for i in range(count)]

  def __getitem__(self, number: int) -> Person:
    """A face at rest."""
    speech = self._speech
    rng = generator(speech.seed, f'cast {speech.look}', number)
    pose = random_pose(rng, 29)
    one = Take(
      number=number,
      labels=(),
      spans=(),
      who=speaker(self._first + number, speech.look),
      timed=Timed((), np.zeros((0, 2))),
      mouth=np.array([Mouth()]),
      pose=Pose(*(x[14:15] for x in pose)),
      camera=random_camera(rng, find_look(speech.look)),
    )
    return Person(frames_of(speech, one)[0], contours_of(speech, one)[0])

  def picture(self, number: int) -> str:
    """Always '': the seed, which is a setting, and the name identify a speaker."""
    del number
    return ''


class Pictures:
  """The pictures in a folder, searched recursively.

  Args:
    folder: holds the image files.
    higher: see `Cast`.

  Raises:
    DataError: the folder does not exist, or has no pictures.
    ConfigError: OpenCV is not installed.
  """

  def __init__(self, folder: Path, higher: int = 0):
    self.higher, self.finder, self.pixels = higher, finder_kind(), 'all'
    if folder.is_file():
      raise DataError(f'{folder} is a file: give its folder, with one face in each picture')
    if not folder.is_dir():
      raise DataError(
        f'{folder}: no such folder of faces (for drawn speakers: {DRAWN}:100, or {DRAWN}:100:b)'
      )
    found = in_folder(folder, 'give a folder of PNG, JPEG or TIFF files of faces')
    self._paths, self.told = found.images, told_of(found)
    self.names = [_plain(path.relative_to(folder).as_posix()) for path in self._paths]
    self._find = make_finder(None)

  def __getitem__(self, number: int) -> Person:
    """The face of a picture.

    Raises:
      UnreadableError: the file cannot be read.
      DataError: no face is visible in it.
    """
    found = self._find(self._paths[number])
    return Person(*raised(found, self.higher), tuple(found.notes()))

  def picture(self, number: int) -> str:
    """See `Cast`."""
    return digest_of(self._paths[number])


def _plain(name: str) -> str:
  """A name as one line of UTF-8 text: other characters, such as undecodable bytes, are escaped."""
  spelled = (
    c.encode('unicode_escape').decode() if unicodedata.category(c) in _NO_TEXT else c for c in name
  )
  return ''.join(spelled)


def raised(portrait: Portrait, rows: int) -> tuple[np.ndarray, np.ndarray]:
  """The crop of a portrait and its points, with the mouth `rows` rows higher."""
  if not rows:
    return portrait.crop, portrait.points
  up = np.array([0, -rows])
  to_crop = portrait.to_crop.copy()
  to_crop[:, 2] += up
  grey = np.asarray(Image.fromarray(portrait.rgb).convert('L'))
  crop = next(cut([grey], Crops(to_crop[None], np.zeros((1, 2)), 0.0)))
  return crop, (portrait.points + up).astype(np.float32)


def make_cast(faces: str, seed: int, higher: int = 0) -> Cast:
  """The faces named on a command line: a folder, drawn:N or drawn:N:LOOK.

  Raises:
    ConfigError: N is zero, or the look does not exist.
    DataError: see `Pictures`.
  """
  if match := _SPELLED.fullmatch(faces):
    count = int(match[1])
    if not count:
      raise ConfigError(f'--faces={faces}: at least one face is needed')
    return Drawn(count, match[2] or 'b', seed, higher)
  return Pictures(Path(faces).expanduser(), higher)

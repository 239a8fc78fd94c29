"""Synthetic clips as files in LRW's layout."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.files import is_there, write_bytes
from jaxgen.systems.lipgen.clips.framing import Framing, resized
from jaxgen.systems.lipgen.synthesis.pairing import Clip, name_of
from jaxgen.systems.lipgen.synthesis.spoken_clips import Said
from jaxgen.systems.lipgen.video.encoding import SYNTHETIC, write_video
from jaxgen.systems.lipgen.voices.sounds import RATE

_NAME = re.compile(r'(?!\.+/)([^/\\]+)/train/\1_\d+')
_SEAM = 4  # pixels over which the face blends into the rendered frame


def pasted(crop: np.ndarray, frames: np.ndarray, framing: Framing) -> np.ndarray:
  """Pastes rendered frames into the mouth crop of a face.

  Args:
    crop: uint8 [96, 96].
    frames: uint8 [T, S, S], the rendered part `framing`.
    framing: the renderer's.

  Returns:
    uint8 [T, 96, 96]; the crop is unchanged around the framed square.
  """
  top, left, size, _ = framing
  place = slice(top, top + size), slice(left, left + size)
  edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
  ramp = np.minimum(edge / _SEAM, 1).astype(np.float32)
  weight = np.minimum(ramp[:, None], ramp)
  made = np.repeat(crop[None].astype(np.float32), len(frames), axis=0)
  made[:, place[0], place[1]] += weight * (resized(frames, size) - made[:, place[0], place[1]])
  return np.rint(made).astype(np.uint8)


def files_of(folder: Path, name: str) -> tuple[Path, Path]:
  """Video and text file of a clip; its name may contain dots, as for the word `mr.`."""
  return folder / f'{name}.mp4', folder / f'{name}.txt'


def is_name(name: str) -> bool:
  """Whether a name is a valid clip name, WORD/train/WORD_00001: no other path is ever written or removed."""
  return bool(_NAME.fullmatch(name))


def check_words(words: Iterable[str]) -> None:
  """Raises ConfigError for a word that is no valid folder name, or whose folder is that of another word."""
  folders: dict[str, str] = {}
  for word in words:
    if not is_name(name_of(word, 1)):
      raise ConfigError(f'{word!r} cannot name a folder of clips: drop it, or spell it differently')
    other = folders.setdefault(word.upper(), word)
    if other != word:
      raise ConfigError(
        f'{other!r} and {word!r} would share one folder of clips, {word.upper()}: drop one of them'
      )


def names_in(folder: Path) -> list[str]:
  """The sorted names of all clips with a file in a folder."""
  files = (path for path in folder.glob('*/train/*') if path.suffix in ('.mp4', '.txt'))
  names = {path.relative_to(folder).with_suffix('').as_posix() for path in files}
  return sorted(filter(is_name, names))


def write_clip(folder: Path, clip: Clip, face: str, said: Said, frames: np.ndarray) -> None:
  """Atomically writes WORD_00001.txt, then .mp4.

  Args:
    folder: holds a folder per word.
    clip: the clip.
    face: name of the face.
    said: what is heard.
    frames: uint8 [29, 96, 96].

  Raises:
    OSError: a file cannot be written.
    ValueError: the clip's name is invalid.
  """
  if not is_name(clip.name):
    raise ValueError(f'{clip.name!r} is not a clip name: see check_words')
  start, end = said.span
  video, text = files_of(folder, clip.name)
  lines = [
    f'Synthetic: {face} never said this',
    f'Text: {clip.word.upper()}',
    f'Voice: {clip.voice}',
    f'Offset: {start:.2f} seconds',
    f'Duration: {end - start:.2f} seconds',
  ]
  text.parent.mkdir(parents=True, exist_ok=True)
  write_bytes(text, ('\n'.join(lines) + '\n').encode())
  told = {
    'title': clip.word,
    'artist': 'nobody',
    'comment': f'{SYNTHETIC} from a picture ({face}) and {said.heard} ({clip.voice})',
  }
  write_video(video, frames, sound=(said.sound, RATE), metadata=told)


def is_written(folder: Path, name: str) -> bool:
  """Whether both files of a clip exist and are not empty."""
  return all(map(is_there, files_of(folder, name)))

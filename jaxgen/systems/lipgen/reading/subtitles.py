"""Output formats of words: lines, JSON, subtitles."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

LONGEST = 5.0  # seconds of a subtitle at most
PAUSE = 0.6  # longest pause within a subtitle, in seconds
COLUMNS = 42  # characters of a subtitle at most


class Word(NamedTuple):
  """A word that was read.

  Attributes:
    word: its class name.
    start: in seconds from the beginning of the video, as players count.
    end: in seconds.
    confidence: in [0, 1].
    alternatives: other words with their probabilities, best first.
  """

  word: str
  start: float
  end: float
  confidence: float
  alternatives: tuple[tuple[str, float], ...] = ()

  def later(self, seconds: float) -> 'Word':
    """The same word, shifted in time."""
    return self._replace(start=self.start + seconds, end=self.end + seconds)

  def to_json(self) -> dict[str, Any]:
    """As `jaxgen lipread --json` has it."""
    return {
      'word': self.word,
      'start': round(self.start, 3),
      'end': round(self.end, 3),
      'confidence': round(self.confidence, 4),
      'alternatives': [
        {'word': word, 'confidence': round(sure, 4)} for word, sure in self.alternatives
      ],
    }

  def line(self) -> str:
    """Times, word, confidence and alternatives, tab-separated."""
    more = [f'{word} {sure:.2f}' for word, sure in self.alternatives]
    return '\t'.join(
      [f'{self.start:.2f}-{self.end:.2f}', self.word, f'{self.confidence:.2f}', *more]
    )


def srt(words: Sequence[Word]) -> str:
  """SubRip subtitles, each one a line of words that follow each other closely; '' without words."""
  parts = []
  for number, group in enumerate(lines_of(words), 1):
    text = ' '.join(word.word for word in group)
    parts.append(
      f'{number}\n{_clock(group[0].start)} --> {_clock(max(word.end for word in group))}\n{text}\n'
    )
  return '\n'.join(parts)


def lines_of(words: Iterable[Word]) -> list[list[Word]]:
  """Groups words that follow each other closely, up to the limits of a subtitle line."""
  groups: list[list[Word]] = []
  for word in words:
    last = groups[-1] if groups else []
    columns = sum(len(x.word) + 1 for x in last) + len(word.word)
    near = last and word.start - last[-1].end <= PAUSE
    if near and word.end - last[0].start <= LONGEST and columns <= COLUMNS:
      last.append(word)
    else:
      groups.append([word])
  return groups


def _clock(seconds: float) -> str:
  """A time in SubRip's format: hours, minutes, seconds and milliseconds."""
  thousandths = round(seconds * 1000)
  minutes, rest = divmod(thousandths, 60_000)
  hours, minutes = divmod(minutes, 60)
  return f'{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}'

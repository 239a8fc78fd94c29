"""config.data of the systems of this paper. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.defaults import placement
from jaxgen.systems.handwriting.drawn.hands import CLEAN, SLOTS, Hands

SIZES = ('tiny', 'small', 'paper')
SCRIPTS = ('arabic',)
SHAPES = {'tiny': (32, 128), 'small': (64, 256), 'paper': (128, 512)}
VARIETY = ('capitalised', 'capitals', 'elided', 'numbers')
LETTERS = 'abcdefghijklmnopqrstuvwxyz'


def words(size: str, script: str = '') -> ConfigDict:
  """Words to learn from.

  Args:
    size: of SIZES.
    script: of SCRIPTS, or empty for Latin letters.
  """
  tiny = size == 'tiny'
  data = ConfigDict()
  # drawn, dhsd_words_de, ahawp_words_ar, lectaurep_words_fr, a folder or zip file, or several as a,b
  data.name = 'drawn'
  data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  data.columns = ConfigDict({'file': 'file', 'text': 'text', 'writer': 'writer'})
  data.script = script or 'latin'
  data.height, data.width = SHAPES[size]
  data.layout = 'slots' if tiny and not script else 'natural'
  data.letters = LETTERS if tiny and not script else ''  # empty: all that the words have
  data.lines = False  # whether real texts may have spaces; without, only single words are used
  # Whether real pictures are divided by their paper, so that it is white in light and in shadow.
  data.flatten = False
  data.joined = (
    1  # training pictures of real words are lines of up to as many of them, side by side
  )
  data.min_letters = 2 if tiny else 1
  data.max_letters = {'tiny': 8, 'small': 16, 'paper': 32}[size]
  data.word_list = ''  # french, arabic, a file with a word a line; empty: as the script
  data.num_words = 6_000 if tiny else 0  # of the list; 0: all
  data.num_unseen = 300  # words of these that training never shows
  data.num_examples = 4_000 if tiny else 40_000  # drawings
  data.num_validation = 300
  data.num_writers = 4_000 if tiny else 10_000
  # Shares of words that are written with a first capital, in capitals, after l' or qu', or that are numbers.
  variety = (0.0, 0.0, 0.0, 0.0) if tiny else (0.2, 0.05, 0.05, 0.05)
  data.variety = ConfigDict(dict(zip(VARIETY, variety, strict=True)))
  data.faces = ''  # latin, arabic, font files or folders of them, as a,b; empty: as the script
  # Ranges that each hand's numbers are drawn from, see jaxgen.systems.handwriting.drawn.hands.
  hands = SLOTS if data.layout == 'slots' else CLEAN if size == 'small' else Hands()
  data.hands = ConfigDict(hands._asdict())
  data.update(placement())
  return data

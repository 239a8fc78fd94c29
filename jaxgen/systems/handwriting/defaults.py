"""config.data of the systems of this paper. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.defaults import placement
from jaxgen.systems.handwriting.drawn.hands import CLEAN, SLOTS, STEADY, Hands

SIZES = ('tiny', 'small', 'paper')
SCRIPTS = ('arabic',)
# Height, width and longest word of a canvas. The small one is 64 high for people's words and for the paper's
# networks, which have no other size between.
CANVASES = {
  'tiny': (32, 128, 8),
  'small': (32, 192, 12),
  'medium': (64, 256, 16),
  'paper': (128, 512, 32),
}
VARIETY = ('capitalised', 'capitals', 'elided', 'numbers', 'replaced', 'marked')
LETTERS = 'abcdefghijklmnopqrstuvwxyz'
# All that French words are written with; no Latin face that ships has a capital of ÿ.
FRENCH = LETTERS + 'àâæçéèêëîïôœùûüÿ'
FRENCH += ''.join(c.upper() for c in FRENCH if c != 'ÿ') + "0123456789-'"
MARKS = '.,;:!?«»"()'


def words(canvas: str, script: str = '') -> ConfigDict:
  """Words to learn from.

  Args:
    canvas: of CANVASES.
    script: of SCRIPTS, or empty for Latin letters.
  """
  tiny, drawn = canvas == 'tiny', canvas in ('tiny', 'small')
  data = ConfigDict()
  # drawn, dhsd_words_de, ahawp_words_ar, lectaurep_words_fr, a folder or zip file, or several as a,b
  data.name = 'drawn'
  data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  # For a table of your own: names of columns, or numbers from 0 if it has no header. Empty: a column with a
  # usual name (jaxgen.systems.handwriting.real.tables), optional for writers and splits; no column for groups,
  # such as pages. '<folder>' as the writer means the folder of the image.
  data.columns = ConfigDict({'file': '', 'text': '', 'writer': '', 'split': '', 'group': ''})
  data.table = ''  # which one, if the set has several; empty: the only one, or those of the splits
  data.level = 'line'  # line, word: what to cut out of pages of ALTO or PAGE
  # The only writers to test on, as a,b; empty: as the table or a known set says, else drawn at random.
  data.test_writers = ''
  data.ink = 'auto'  # dark, light: in all real pictures; auto: decided for each picture
  data.script = script or 'latin'
  data.height, data.width, data.max_letters = CANVASES[canvas]
  data.layout = 'slots' if tiny and not script else 'natural'
  # Empty: all letters of the words, and those that data.variety adds.
  data.letters = '' if script or not drawn else LETTERS if tiny else FRENCH + MARKS
  data.lines = False  # whether real texts may have spaces; without, only single words are used
  # Whether real pictures are divided by the brightness of their paper, so that it is white even in shadow.
  data.flatten = False
  # Whether empty paper is left out above and below real words and lines that fill less than .55 of the height.
  data.crop_margins = False
  data.joined = 1  # training pictures of real words are joined to lines of up to this many words
  data.min_letters = 2 if tiny else 1
  # Words to draw, and to write beside real words: french, arabic, or a file with one word per line, with or
  # without counts. Empty: by the script; for real words the training words of the set.
  data.word_list = ''
  data.num_words = 6_000 if tiny else 0  # of the list; 0: all
  # How much more often words with rare letters are drawn: 0: no more; 1: as often as those with common ones.
  data.balance = 0.8 if canvas == 'small' else 0.0
  data.num_unseen = 300  # words of these that training never shows
  data.num_examples = 4_000 if tiny else 40_000  # drawings
  data.num_validation = 2_500 if canvas == 'paper' else 300  # FID needs more than 2,048
  data.num_writers = 4_000 if tiny else 10_000
  # Shares of words with a first capital, in capitals, after l' or qu', of numbers, of words with one letter
  # replaced by another, and of words with punctuation.
  variety = (0.0,) * 6 if tiny else (0.2, 0.05, 0.05, 0.05, 0.0, 0.0)
  if canvas == 'small':
    variety = (0.25, 0.15, 0.05, 0.08, 0.2, 0.25)
  data.variety = ConfigDict(dict(zip(VARIETY, variety, strict=True)))
  data.faces = ''  # latin, arabic, font files or folders of them, as a,b; empty: as the script
  # Ranges that the numbers of each hand are drawn from, see jaxgen.systems.handwriting.drawn.hands.
  hands = {'tiny': SLOTS, 'small': STEADY, 'medium': CLEAN}.get(canvas, Hands())
  data.hands = ConfigDict((SLOTS if data.layout == 'slots' else hands)._asdict())
  data.update(placement())
  return data

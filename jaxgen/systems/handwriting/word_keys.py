"""Config keys for words, drawn or real, shared by both systems of this paper.

Imports nothing heavy.
"""

from jaxgen.data.keys import PLACEMENT
from jaxgen.schema import Rule, choice, each, finite, flag, place, text, whole, within
from jaxgen.systems.handwriting.inks import INKS

# Ranges of a hand, see `jaxgen.systems.handwriting.drawn.hands.Hands`.
HAND_RANGES = (
  'x_height',
  'width',
  'slant',
  'pen',
  'contrast',
  'pressure',
  'slope',
  'drift',
  'spacing',
  'jitter',
  'elastic',
  'ink',
  'fade',
  'rough',
  'blur',
  'paper',
  'shade',
  'grain',
  'ruled',
  'neighbours',
)


def _column(what: str) -> Rule:
  return text(
    f"a table's column of {what}, by name or by number from 0, or empty to look for the usual names"
  )


# The rule of each key; `config.check_words` checks them together.
WORDS = {
  'data.name': place(
    'drawn, names of sets of words, or a folder', if_empty="name a set, such as 'drawn'"
  ),
  'data.dir': place("the folder with the set's files, or empty for $JAXGEN_DATA/<name>"),
  'data.columns.file': _column('image files'),
  'data.columns.text': _column('texts'),
  'data.columns.writer': _column('writers'),
  'data.columns.split': _column('splits').added(''),
  'data.columns.group': text(
    "a table's column of what stays together, such as pages, by name or by number from 0, or empty for none"
  ).added(''),
  'data.table': text("the name of a set's table, or empty for all of them").added(''),
  'data.level': choice('line', 'word').added('line'),
  'data.test_writers': text('names of the only writers to test on, as a,b, or empty').added(''),
  'data.ink': choice(*INKS).added('auto'),
  'data.script': choice('latin', 'arabic'),
  'data.height': choice(32, 64, 128),
  'data.width': whole(32),
  'data.layout': choice('slots', 'natural'),
  'data.letters': text('the letters that words may have, or empty for all'),
  'data.lines': flag(),
  'data.flatten': flag(),
  'data.crop_margins': flag().added(False),
  'data.joined': whole(),
  'data.min_letters': whole(),
  'data.max_letters': whole(),
  'data.word_list': place(
    'french, arabic, a file of words, or empty for those of the script or the set'
  ),
  'data.num_words': whole(0),
  'data.balance': within(0, 1),
  'data.num_unseen': whole(),
  'data.num_examples': whole(),
  'data.num_validation': whole(),
  'data.num_writers': whole(),
  'data.faces': place(
    'faces or folders of font files, as a,b, or empty for those that come with jaxgen'
  ),
  **{
    f'data.variety.{name}': within(0, 1)
    for name in ('capitalised', 'capitals', 'elided', 'numbers', 'replaced')
  },
  'data.variety.marked': within(0, 1).added(0.0),
  **{f'data.hands.{name}': each(finite(), 'numbers', 2) for name in HAND_RANGES},
  **PLACEMENT,
}

"""config.data and config.model of what is read. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.defaults import placement
from jaxgen.systems.lipgen.networks.sizes import paper_sizes, small_sizes

# What a back-end of another kind has no use for; see the attributes of `networks.reader.BACK_ENDS`.
_UNUSED = {
  'blocks': 0,
  'growth': 0,
  'width': 0,
  'squeeze': 0,
  'widths': (),
  'kernels': (),
  'dilations': (),
  'rounds': 0,
  'transition': 0,
  'project': False,
  'hidden': 0,
  'layers': 0,
}
SETS = ('procedural', 'grid', 'lrw', 'table')


def lips(name: str) -> ConfigDict:
  """Clips to learn from.

  Args:
    name: of SETS.
  """
  paper, grid = name == 'lrw', name == 'grid'
  data = ConfigDict()
  # procedural, grid_s1_mouths, lrw, or the file of a table of clips
  data.name = 'grid_s1_mouths' if grid else name
  data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  # Titles of a table; that of speakers, whose clips are held out together, may be missing from it.
  titles = 'clip', 'word', 'start', 'end', 'speaker'
  data.columns = ConfigDict({title: title for title in titles})
  # Top, left, side: the square of a 96 x 96 mouth crop that is read; and its side in pixels after resizing.
  data.framing = (0, 0, 96, 96) if paper else (29, 26, 48, 48)
  data.crop = 88 if paper else 44  # pixels; random crops in training, centre crops otherwise
  data.words = ''  # comma-separated, or a file with one word per line; empty: those of the set
  data.dictionary = ''  # a file of pronunciations; empty: the one in jaxgen
  data.visemes = ''  # a file of phonemes in groups; empty: the 18 groups in jaxgen
  data.no_word = grid  # learn windows in pauses as a class of their own, "no word"
  data.held_out = 0.2  # of the clips of grid and table, for validation
  # Drawn clips; in addition to real ones, at most this many different ones, which are repeated.
  data.num_clips = 50_000 if paper else 6_000
  data.num_speakers = 3_000
  data.num_validation = 500
  # In addition to those of the set: clips from `jaxgen synthesise` in a folder, or drawn ones of another look.
  data.synthetic = ConfigDict({'share': 0.0, 'dir': '', 'look': 'b'})
  data.look = 'a'
  data.update(placement())
  return data


def reader(name: str, back_end: str) -> ConfigDict:
  """The net.

  Args:
    name: of SETS, for the size.
    back_end: of BACK_ENDS.
  """
  paper = name == 'lrw'
  parts = paper_sizes(back_end) if paper else small_sizes(back_end)
  model = ConfigDict({'front_end': ConfigDict(parts['front_end'])})
  for part in ('back_end', 'viseme_back_end'):
    model[part] = ConfigDict({**_UNUSED, **parts[part]})
  model.share_trunk = False  # whether visemes share the back-end of the words
  model.boundary = not paper  # whether the word's frames are marked; the paper does not say
  return model

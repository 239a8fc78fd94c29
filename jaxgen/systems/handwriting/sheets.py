"""Pictures of a run: a fixed grid of words and noises that shows how the writing develops."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.axis import row_keys
from jaxgen.pictures.grids import image_grid
from jaxgen.systems.handwriting.config import is_drawn
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.levels import to_levels
from jaxgen.systems.handwriting.real.samples import training_sheet
from jaxgen.task import Data, PyTree, Tools, name_key

# Of the paper's figures.
WORDS = {
  'latin': (
    'olibrius', 'Dimanche', 'inventif', 'réparer', 'bonjour', 'famille', 'ionique', 'gorille', 'malade',
    'certes', 'golf', 'des', 'ski', 'le', 'Straße',
  ),
  'arabic': (
    'كيان', 'نيجر', 'الحس', 'حبان', 'تبنت', 'اتخاذ', 'الردع', 'باشرت', 'حديثا', 'ترتكب', 'بشراء', 'ستنني',
  ),
}  # fmt: skip
NOISES = 6


def grid_words(inference: Inference) -> list[str]:
  """The words of the paper's figures that can be written; in lower case if the charset has no capitals."""
  longest, charset = inference.facts['max_length'], inference.charset
  found = []
  for word in WORDS[inference.config.data.script]:
    spelled = next((x for x in (word, word.lower()) if not charset.unknown(x)), None)
    if spelled and len(spelled) <= longest:
      found.append(spelled)
  return found or [''.join(charset.symbols[:longest])]


def pictures(
  inference: Inference, variables: PyTree, data: Data | None, tools: Tools
) -> dict[str, np.ndarray]:
  """{'words'}: a row per word, a column per noise, the same at every step; with real words also {'data'},
  a sheet of training pictures.
  """
  words = grid_words(inference)
  labels, lengths = inference.charset.encode(words, inference.facts['max_length'])
  key = name_key(tools.rng, 'grid')

  def step(variables: PyTree, labels: jax.Array, lengths: jax.Array, key: jax.Array) -> jax.Array:
    numbers = jnp.arange(NOISES)
    z = inference.in_turn(inference.latents(row_keys(key, numbers)), key, numbers)
    shape = len(words), NOISES
    images = inference.write(
      variables,
      jnp.tile(z, (len(words), 1)),
      jnp.repeat(labels, NOISES, 0),
      jnp.repeat(lengths, NOISES, 0),
    )
    return to_levels(images).reshape(*shape, *images.shape[1:3])

  images = np.asarray(tools.compile(step)(variables, labels, lengths, key))
  flat = images.reshape(-1, *images.shape[2:]) / 255.0
  found = {'words': image_grid(flat, columns=NOISES, pad=4)}
  if data and not is_drawn(inference.config):
    found['data'] = training_sheet(data)
  return found

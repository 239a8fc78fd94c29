"""What tests of writing share: a net that has learned nothing, and tools of one device."""

import jax
import jax.numpy as jnp
from handwriting_cases import tiny, variables_of

from jaxgen.systems.handwriting.task import make_model
from jaxgen.task import Tools, Trained

TOOLS = Tools(jax.jit, None, lambda items, *args: iter(items), None, None)
H, LONGEST = 32, 4


def untrained_writer():
  """A writer of up to four letters of abcé, in two faces."""
  config = tiny(data__letters='abcé', data__max_letters=LONGEST, data__width=LONGEST * 16)
  facts = {'charset': list('abcé'), 'max_length': LONGEST, 'rtl': False, 'steps_per_epoch': 1}
  facts |= {'faces': ['one', 'two'], 'hand_numbers': ['slant']}
  nets = make_model(config, facts)
  label, one = jnp.ones((1, LONGEST), jnp.int32), jnp.ones(1, jnp.int32)
  gen = variables_of(nets.gen, jnp.zeros((1, nets.gen.num_latents)), label, one)
  rec = variables_of(nets.rec, jnp.zeros((1, H, LONGEST * 16, 1)))
  return Trained(config, facts, {'gen': gen, 'rec': rec}, 7)

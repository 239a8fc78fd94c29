"""What `--verify` does: words that are not legible are drawn again, in the same hand."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from handwriting_cases import tiny
from writing_cases import TOOLS

from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.model import Networks
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.writing.redrawing import Request, write_words

pytestmark = pytest.mark.usefixtures('quick_compilation')


class Scribe:
  """A writer whose first latent says whether it writes clearly, and how; and who reads that."""

  num_latents = 3

  def __init__(self, limit, hand=0):
    self.gen, self.limit = SimpleNamespace(hand=hand), limit

  def apply(self, variables, *args):
    if len(args) == 1:  # reads: a frame a column, clear ones only
      levels = jnp.round((1 - args[0][:, 0, :, 0]) * 10).astype(jnp.int32)
      logits = jax.nn.one_hot(levels, 5)
      return Reading(logits, jnp.full(len(logits), logits.shape[1]), logits)
    z, labels, _ = args
    last = jnp.where(z[:, 2:] > self.limit, labels[:, -1:], 0)
    labels = jnp.concatenate([labels[:, :-1], last], -1)
    image = jnp.repeat(1 - labels / 10, 2, axis=-1)[:, None, :, None]
    hand = jnp.broadcast_to(jnp.tanh(z[:, None, :1, None]), (len(z), 1, 1, 1))
    return jnp.concatenate([image, jnp.ones_like(hand), hand], axis=2)


def scribbled(limit, word='abc', styles=20, tries=5, hand=0, second=None):
  scribe = Scribe(limit, hand)
  facts = {'charset': list('abcd'), 'max_length': 3, 'faces': []}
  inference = Inference(
    Networks(scribe, None, SimpleNamespace(apply=lambda v, x: scribe.apply(v, x[:, :, :-1]))),
    facts,
    tiny(),
  )
  requests = [Request(word, style) for style in range(styles)]
  return sorted(
    write_words(inference, {'gen': 0, 'rec': 0}, TOOLS, requests, 0, tries, second),
    key=lambda x: x.request,
  )


def test_what_is_not_legible_is_drawn_again_in_the_same_hand():
  found = scribbled(0.0, tries=40)
  assert len(found) == 20 and all(x.legible for x in found)
  assert {1, 2} <= {x.tries for x in found}
  one, other = (scribbled(limit, hand=1, tries=40) for limit in (-9.0, 0.0))
  again = [i for i, x in enumerate(other) if x.tries > 1]
  assert again and all(one[i].image[0, -1] == other[i].image[0, -1] for i in range(20))
  free = scribbled(0.0, tries=40)
  assert any(free[i].image[0, -1] != one[i].image[0, -1] for i in again)


def test_what_stays_illegible_is_given_up_and_unread_words_are_not_judged():
  found = scribbled(9.0, tries=3)
  assert [(x.tries, x.reading, x.legible) for x in found] == [(3, 'ab', False)] * 20
  assert all(x.legible and x.reading is None and x.tries == 1 for x in scribbled(9.0, tries=0))


def test_what_a_second_recogniser_reads_is_legible_too():
  asked = []

  def second(words, images):
    asked.extend(words)
    # Otherwise it is further off than the first one, which reads 'ab'.
    return ['abc' if image[0, -1] > 200 else 'xyz' for image in images]

  found = scribbled(9.0, tries=3, second=second)
  read = [x for x in found if x.legible]
  assert 0 < len(read) < 20 and {x.reading for x in read} == {'abc'}
  assert {(x.tries, x.reading) for x in found if not x.legible} == {(3, 'ab')}
  asked.clear()
  assert all(x.reading == 'abc' for x in scribbled(-9.0, tries=3, second=second)) and not asked

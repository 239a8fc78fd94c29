"""Networks initialised from the run that config.init_from names, even if its symbols differ."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import load_named
from jaxgen.task import PyTree, Trained

# Axes of parameters that are indexed by symbol, by the end of their path; index 0 is padding or the blank.
_PLACES = {
  ('bank',): 0,
  ('spacing', 'rows'): 0,
  ('embedding', 'embedding'): 0,
  ('logits', 'kernel'): -1,
  ('logits', 'bias'): -1,
}


def begun_reader(name: str, charset: Sequence[str], params: PyTree, config: ConfigDict) -> PyTree:
  """Parameters of another reader for these symbols; symbols that it does not know keep those in `params`.

  Args:
    name: config.init_from, a file of `jaxgen export` or of the package.
    charset: the symbols of this run.
    params: new parameters of this run's network.
    config: of this run.

  Raises:
    ConfigError: the file belongs to another system, or has a different network.
  """
  trained = load_named(expanded(name), 'config.init_from', 'handwriting_recogniser')
  return _carried(name, trained, charset, trained.variables['params'], params, config)


def begun_players(
  name: str, charset: Sequence[str], players: dict[str, PyTree], config: ConfigDict
) -> dict[str, PyTree]:
  """G, phi and R of another run for these symbols: {'gen', 'rec'}.

  Symbols that it does not know keep their parameters in `players`.

  Args:
    name: config.init_from, a file of `jaxgen export` or of the package.
    charset: the symbols of this run.
    players: new variables by player.
    config: of this run.

  Raises:
    ConfigError: the file belongs to another system, or has different networks.
  """
  trained = load_named(expanded(name), 'config.init_from', 'handwriting')
  found = {}
  for player in ('gen', 'rec'):
    given = {c: x for c, x in trained.variables[player].items() if c != 'balance'}
    found[player] = _carried(name, trained, charset, given, players[player], config)
  return found


def _carried(
  name: str,
  trained: Trained,
  charset: Sequence[str],
  given: PyTree,
  new: PyTree,
  config: ConfigDict,
) -> PyTree:
  """Trained parameters in the shapes and dtypes of `new`; entries of symbols are matched by symbol."""
  places = {symbol: i + 1 for i, symbol in enumerate(trained.facts['charset'])}
  pairs = [(0, 0)] + [(i + 1, places[x]) for i, x in enumerate(charset) if x in places]
  ours, theirs = np.array(pairs).T

  def leaf(path: tuple[Any, ...], like: jax.Array, old: Any) -> jax.Array:
    axis = _axis(path)
    old = jnp.asarray(old, like.dtype)
    if axis is None or like.ndim != old.ndim:
      return old
    kept = jnp.moveaxis(like, axis, 0)
    old = jnp.moveaxis(old, axis, 0)
    if kept.shape[1:] != old.shape[1:]:
      return old
    return jnp.moveaxis(kept.at[ours].set(old[theirs]), 0, axis)

  structures: list[Any] = [jax.tree.structure(tree) for tree in (given, new)]
  alike = structures[0] == structures[1]
  found = jax.tree_util.tree_map_with_path(leaf, new, given) if alike else None
  if not alike or jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, new):
    raise ConfigError(
      f'config.init_from = {name}: its network differs from that of this config: set '
      f'{_to_match(trained.config, config) or "config.model to match it"}'
    )
  return found


def _to_match(theirs: ConfigDict, ours: ConfigDict) -> str:
  """The options that would give this run the network of another; '' if config.model does not differ."""
  flat = [configs.flatten(config.model) for config in (theirs, ours)]
  differing = [key for key in flat[0] if key in flat[1] and flat[0][key] != flat[1][key]]
  return ' '.join(f'--config.model.{key}={flat[0][key]}' for key in differing)


def _axis(path: tuple[Any, ...]) -> int | None:
  """The axis of a parameter that is indexed by symbol, or None."""
  names = tuple(str(getattr(entry, 'key', entry)) for entry in path)
  return next((axis for end, axis in _PLACES.items() if names[-len(end) :] == end), None)

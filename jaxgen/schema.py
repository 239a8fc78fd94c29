"""The values that a config may have: rules, and the check of a config's leaves against a table of rules.

A table is {dotted key: `Rule`}: `jaxgen.config.CORE` has the keys of every config, `KEYS` of a system the rest.
Imports nothing heavy.
"""

import difflib
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxgen.errors import ConfigError

REQUIRED: Any = object()


class Rule(NamedTuple):
  """The constraint on one value.

  Attributes:
    what: in words, such as 'a whole number above 0'.
    wrong: value -> what is wrong with it, to follow its key, such as ' = 0 must be above 0'; None: nothing.
    is_place: whether it may name files or folders, several separated by commas.
    before: the value that reproduces runs from before the key existed; REQUIRED if it always existed.
  """

  what: str
  wrong: Callable[[Any], str | None]
  is_place: bool = False
  before: Any = REQUIRED

  def added(self, before: Any) -> 'Rule':
    """The rule of a key that older runs lack; their configs are completed with `before`."""
    return self._replace(before=before)


def near_matches(name: str, known: Iterable[str], prefix: str = '') -> str:
  """' Did you mean ...?' with the closest known names, each after `prefix`, or ''."""
  known = list(known)
  close = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
  likeness = [difflib.SequenceMatcher(None, name, k).ratio() for k in close]
  close = [k for k, x in zip(close, likeness, strict=True) if x > likeness[0] - 0.1]
  if not close:  # the right leaf in the wrong group
    close = [k for k in known if k.split('.')[-1] == name.split('.')[-1]][:3]
  return f' Did you mean {" or ".join(prefix + k for k in close)}?' if close else ''


def _must_be(what: str, words: str, is_kind: Callable, fits: Callable, note: str = '') -> Rule:
  """A rule whose complaint names the kind if a value is of another kind, and else only the range."""

  def wrong(value: Any) -> str | None:
    if not is_kind(value):
      return f' = {value!r} must be {what}'
    return None if fits(value) else f' = {value!r} must be {words}{note}'

  return Rule(what, wrong)


def _is_whole(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
  return _is_whole(value) or isinstance(value, float)


def whole(least: int = 1, most: int | None = None, words: str = '') -> Rule:
  """A whole number from `least` to `most`, inclusive; `words` describes the range differently."""
  if not words and most is not None:
    words = f'between {least} and {most}'
  words = words or ('above 0' if least == 1 else f'{least} or more')
  top = math.inf if most is None else most
  return _must_be(f'a whole number {words}', words, _is_whole, lambda x: least <= x <= top)


def within(low: float, high: float, closed: str = 'both', note: str = '') -> Rule:
  """A number in an interval, closed at 'both' ends, the 'left', the 'right' or 'neither'."""
  left, right = closed in ('both', 'left'), closed in ('both', 'right')
  words = f'in {"[" if left else "("}{low}, {high}{"]" if right else ")"}'

  def fits(x: float) -> bool:
    return (low <= x if left else low < x) and (x <= high if right else x < high)

  return _must_be(f'a number {words}', words, _is_number, fits, f'; {note}' if note else '')


def above(low: float) -> Rule:
  """A finite number above `low`."""
  words = f'above {low} and finite'
  return _must_be(f'a number {words}', words, _is_number, lambda x: low < x < math.inf)


def at_least(low: float, note: str = '') -> Rule:
  """A finite number of `low` or more."""
  words = f'{low} or more and finite'
  note = f'; {note}' if note else ''
  return _must_be(f'a number {words}', words, _is_number, lambda x: low <= x < math.inf, note)


def finite() -> Rule:
  """A number that is neither infinite nor NaN."""
  return _must_be('a finite number', 'finite', _is_number, math.isfinite)


def flag() -> Rule:
  """True or False."""
  return _must_be('True or False', '', lambda x: isinstance(x, bool), lambda x: True)


def text(what: str = 'text', if_empty: str = '') -> Rule:
  """A string; may be empty unless `if_empty` gives the fix for that."""

  def wrong(value: Any) -> str | None:
    if not isinstance(value, str):
      return f' = {value!r} must be {what}'
    return f' is empty: {if_empty}' if if_empty and not value.strip() else None

  return Rule(what, wrong)


def place(what: str, if_empty: str = '') -> Rule:
  """`text` that may name files or folders."""
  return text(what, if_empty)._replace(is_place=True)


def choice(*options: Any, optional: bool = False, words: str = '') -> Rule:
  """One of `options`, all of one type; `optional` also allows '', `words` describes them differently."""
  listed = ', '.join(map(str, options)) + (', or empty' if optional else '')
  allowed = (*options, '') if optional else options

  def wrong(value: Any) -> str | None:
    if any(type(value) is type(x) and value == x for x in allowed):
      return None
    if words:
      return f' = {value!r} must be {words}'
    hint = near_matches(str(value), map(str, options))
    return f' = {value!r} is not one of {listed}.{hint}'

  return Rule(words or f'one of {listed}', wrong)


def each(rule: Rule, noun: str, length: int | None = None, empty: bool = False) -> Rule:
  """A list or tuple of `length` values that all satisfy a rule; `noun` names them, such as 'widths'."""
  what = f'{length} {noun}' if length else noun

  def wrong(value: Any) -> str | None:
    if not isinstance(value, list | tuple):
      return f' = {value!r} must be a list of {what}, each {rule.what}'
    if not value and not empty:
      return f' is empty: it needs {what}, each {rule.what}'
    if length and len(value) != length:
      return f' has {what}, not {len(value)} as in {tuple(value)}'
    for i, x in enumerate(value):
      if complaint := rule.wrong(x):
        return f' = {tuple(value)} must be {noun}: [{i}]{complaint}'
    return None

  return Rule(f'{what}, each {rule.what}', wrong)


def require(key: str, rule: Rule, value: Any) -> None:
  """Raises ConfigError unless the value of a key satisfies its rule."""
  if value is None:
    raise ConfigError(f'config.{key} is not set: give {rule.what}, as --config.{key}=VALUE')
  if complaint := rule.wrong(value):
    raise ConfigError(f'config.{key}{complaint}')


def check_leaves(leaves: Mapping[str, Any], rules: Mapping[str, Rule], system: str) -> None:
  """Raises ConfigError for the first leaf that has no rule, is missing, or violates its rule.

  Args:
    leaves: a config's values by dotted key.
    rules: by key, for every key that the config must have.
    system: whose config it is, for the message.
  """
  for key, value in leaves.items():
    if key not in rules:
      raise ConfigError(_unknown(key, value, rules, system))
  for key, rule in rules.items():
    if key not in leaves:
      raise ConfigError(f'config.{key} is missing: {rule.what}')
  for key, rule in rules.items():
    require(key, rule, leaves[key])


def warn_of_idle(config: ConfigDict, off: Mapping[str, Any], why: str) -> None:
  """Warns about keys that differ from their defaults but have no effect.

  Args:
    config: the config of a run.
    off: by dotted key, its default.
    why: the reason that they have no effect, in words.
  """
  idle = ', '.join(
    f'config.{key}' for key, value in off.items() if attrgetter(key)(config) != value
  )
  if idle:
    logging.warning('%s: of no effect, since %s', idle, why)


def _unknown(key: str, value: Any, rules: Mapping[str, Rule], system: str) -> str:
  inner = [k for k in rules if k.startswith(f'{key}.')]
  if inner:
    return f'config.{key} = {value!r} must be a group of keys: {", ".join(inner)}'
  outer = [k for k in rules if key.startswith(f'{k}.')]
  if outer:
    return f'config.{outer[0]} is a group of keys: it must be {rules[outer[0]].what}'
  return f'config.{key} is not a key of {system}.{near_matches(key, rules, prefix="config.")}'

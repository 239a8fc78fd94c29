"""What a program computes, as digests of its equations: programs are compared without being compiled."""

import hashlib

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

INLINED = {'jit', 'pjit', 'closed_call', 'core_call', 'custom_jvp_call', 'custom_vjp_call'}
COMMUTATIVE = {'add', 'add_any', 'mul'}


def computed(function, *args):
  """The tree of what a function returns, with a digest of all that leads to it in place of each array.

  Equal digests are equal numbers: of the same operations on the same arguments, in any order. Arguments are
  abstract.
  """
  jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
  inputs = [f'argument {i}' for i in range(len(jaxpr.jaxpr.invars))]
  found = _outputs(jaxpr.jaxpr, [_of_constant(x) for x in jaxpr.consts], inputs)
  return jax.tree.unflatten(jax.tree.structure(shapes), found)


def _outputs(jaxpr, constants, inputs):
  known = dict(zip(jaxpr.constvars, constants, strict=True))
  known |= dict(zip(jaxpr.invars, inputs, strict=True))

  def read(x):
    return _of_constant(x.val) if isinstance(x, Literal) else known[x]

  for equation in jaxpr.eqns:
    found = _of_equation(equation, [read(x) for x in equation.invars])
    known.update(zip(equation.outvars, found, strict=True))
  return [read(x) for x in jaxpr.outvars]


def _of_equation(equation, inputs):
  name, params = equation.primitive.name, equation.params
  if name in INLINED:
    inner = params['jaxpr'] if 'jaxpr' in params else params['call_jaxpr']
    return _outputs(inner.jaxpr, [_of_constant(x) for x in inner.consts], inputs)
  if name in COMMUTATIVE:
    inputs = sorted(inputs)
  told = {key: _of_parameter(x) for key, x in params.items()}
  whole = _digest(name.replace('add_any', 'add'), sorted(told.items()), inputs)
  return [f'{whole} {i}' for i in range(len(equation.outvars))]


def _of_parameter(x):
  if isinstance(x, ClosedJaxpr):
    return _of_function(x.jaxpr, [_of_constant(y) for y in x.consts])
  if isinstance(x, Jaxpr):
    return _of_function(x, [])
  if isinstance(x, tuple | list):
    return [_of_parameter(y) for y in x]
  return getattr(x, '__name__', 'function') if callable(x) else str(x)


def _of_function(jaxpr, constants):
  return _outputs(jaxpr, constants, [f'inner {i}' for i in range(len(jaxpr.invars))])


def _of_constant(x):
  if jax.dtypes.issubdtype(getattr(x, 'dtype', None), jax.dtypes.prng_key):
    x = jax.random.key_data(x)
  array = np.asarray(x)
  return _digest(str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest())


def _digest(*parts):
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]

"""Sphinx configuration: `sphinx-build -W -n docs docs/_build/html`. Needs no network.

With `-t check` pages of source code are left out.
"""

import inspect
import re
from importlib import metadata

from sphinx.util.parallel import make_chunks

project = 'jaxgen'
author = 'The jaxgen authors'
copyright = author
release = version = metadata.version('jaxgen')

extensions = [
  'myst_nb',
  'sphinx.ext.autodoc',
  'sphinx.ext.mathjax',
  'sphinx.ext.napoleon',
]
if not tags.has('check'):  # noqa: F821 (Sphinx defines it)
  # Pages of source code: a third of the time, and nothing that a check would find.
  extensions.append('sphinx.ext.viewcode')
# Pages of results are included by the systems' pages.
exclude_patterns = ['_build', '*_results.md', '*_scores.md']
html_theme = 'furo'
html_title = f'jaxgen {release}'
toc_object_entries = False  # furo copies the whole tree for each page: three of four minutes
smartquotes = False  # shapes as [..., P] stay as they are
default_role = 'literal'  # docstrings put code between single backticks

myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3
nb_execution_mode = 'force'
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# Types of other packages are named in signatures and not linked: that would need the network.
_OTHERS = (
  'AbstractContextManager|Any|Array|Builder|BuilderConfig|Callable|ConfigDict|FlagValues|FrameType|GradientTransformation|'
  'Iterable|Iterator|Mapping|Mesh|Module|NamedSharding|Norm|Path|PIL|PyTree|Sequence|StepsBar|optional|'
  'absl|argparse|logging|fastapi|gr|gradio|socket|array|bool|bytes|collections|contextlib|dict|flax|float|int|jax|jaxlib|list|ml_collections|ndarray|'
  'numpy|np|object|optax|orbax|pathlib|rich|scipy|slice|str|tensorflow_datasets|tuple|type|types|typing'
)
nitpick_ignore_regex = [(r'py:.*', rf'(?:{_OTHERS})(?:\..*)?')]


def _constants(module):
  """Name -> (value, comment) of what a module's own lines assign at top level."""
  constants, above = {}, []
  for line in inspect.getsource(module).splitlines():
    match = re.match(r'([A-Z]\w*)(?:: [^=]+)? = [^#]*(?:# (.*))?$', line)
    if match:
      name, beside = match.groups()
      constants[name] = (repr(getattr(module, name)), [beside] if beside else above)
    above = [*above, line[2:]] if line.startswith('# ') else []
  return constants


def _describe_constants(app, what, name, obj, options, lines):
  """Adds a module's constants, described by their comments, to its docstring."""
  del app, name, options
  if what != 'module':
    return
  for constant, (value, comment) in _constants(obj).items():
    shown = [f'   :value: {value}'] if len(value) < 100 and '<function' not in value else []
    lines += ['', f'.. py:data:: {constant}', *shown, '', *(f'   {text}' for text in comment), '']


def _skip_member(app, what, name, obj, skip, options):
  """Leaves out fields, which a class describes under its attributes, and would show as alias or type."""
  del app, name, options
  field = type(obj).__name__ == '_tuplegetter' or (what == 'class' and isinstance(obj, type))
  return True if field else skip


def _shorten_signature(app, what, name, obj, options, signature, return_annotation):
  """Leaves out what Flax adds to every module, and shows defaults that Sphinx can parse."""
  del app, what, name, obj, options
  if signature:
    signature = re.sub(r"<class '([^']+)'>", r'\1', signature)
    signature = re.sub(r'<function (?:<\w+>|[^<>])*>', '...', signature)
    signature = re.sub(r',? ?parent: .*?name: [^=]*= None', '', signature, flags=re.DOTALL)
  return signature, return_annotation


def _spread_notebooks(app, env, docnames):
  """The two processes of `sphinx-build -j 2` begin with half of the notebooks each, which take longest."""
  del env
  notebooks = [name for name in docnames if name.startswith('notebooks/')]
  rest = [name for name in docnames if name not in notebooks]
  ours, theirs = notebooks[::2], notebooks[1::2]
  until = max(len(make_chunks(docnames, app.parallel)[0]) - len(ours), 0) if docnames else 0
  docnames[:] = [*ours, *rest[:until], *theirs, *rest[until:]]


def setup(app):
  """Connects the handlers."""
  app.connect('env-before-read-docs', _spread_notebooks)
  app.connect('autodoc-skip-member', _skip_member)
  app.connect('autodoc-process-docstring', _describe_constants)
  app.connect('autodoc-process-signature', _shorten_signature)

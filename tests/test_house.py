"""What may import what: the rooms of the package stand one above the other, and nothing goes in a circle.

Every import statement counts, lazy and type-only ones too.
"""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'jaxgen'
BASICS = {'top', 'registry'}
# room -> rooms that it may import, besides itself.
MAY_IMPORT = {
  'registry': set(),
  'top': {'registry'},
  'terminal': {'top'},
  'exchange': {'top'},
  'machine': {'top', 'exchange', 'data'},
  'photos': {'top'},
  'pictures': {'top'},
  'nn': {'top'},
  'losses': {'top'},
  'optim': {'top'},
  'data': {'top', 'photos'},
  'evaluation': {'top', 'data'},
  'systems': {
    *BASICS,
    'exchange',
    'machine',
    'photos',
    'pictures',
    'nn',
    'losses',
    'optim',
    'data',
    'evaluation',
  },
  'run': {'top', 'terminal', 'exchange', 'data', 'pictures', 'evaluation'},
  'demo': {*BASICS, 'run'},
  'command': {*BASICS, 'terminal', 'exchange', 'machine', 'run', 'demo'},
}
# A file commands.py of a system, or a package commands/ in its place.
MAY_IMPORT['systems, commands'] = MAY_IMPORT['systems'] | {
  'systems',
  'run',
  'terminal',
  'command',
}
# A file tabs.py of a system: it calls the functions for people, and nothing else of any system.
MAY_IMPORT['systems, tabs'] = {'top', 'demo'}
# Where modules are found by name: through the registry of systems, and the functions for people, on use.
BY_NAME = {
  'jaxgen',
  'jaxgen.config',
  'jaxgen.systems',
}


def module_name(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts).removesuffix('.__init__')


MODULES = {module_name(p): p for p in PACKAGE.rglob('*.py') if 'configs' not in p.parts}


def imported(path):
  """Modules of the package that a file names in import statements anywhere in it."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: imports are absolute'
      for alias in node.names:
        inner = f'{node.module}.{alias.name}'
        found.add(inner if inner in MODULES else node.module)
  return found & MODULES.keys()


GRAPH = {name: imported(path) for name, path in MODULES.items()}


def room(name):
  parts = name.split('.')
  if name == 'jaxgen.systems':
    return 'registry'
  if name == 'jaxgen.__main__':  # the door to it, which Python looks for at the top
    return 'command'
  if len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
    part = parts[3] if parts[1] == 'systems' and len(parts) > 3 else ''
    return f'systems, {part}' if part in ('commands', 'tabs') else parts[1]
  return 'top'


@pytest.mark.parametrize('above', MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(above):
  allowed = MAY_IMPORT[above] | {above}
  wrong = [
    f'{name} imports {other}'
    for name, others in GRAPH.items()
    if room(name) == above
    for other in others
    if room(other) not in allowed
  ]
  assert not wrong


@pytest.mark.parametrize('above', [name for name in MAY_IMPORT if name.isidentifier()])
def test_a_room_uses_what_it_may_import(above):
  used = {room(x) for name, others in GRAPH.items() if room(name) == above for x in others}
  assert MAY_IMPORT[above] - {'top'} <= used


def test_every_module_is_in_a_room_of_the_table():
  assert {room(name) for name in MODULES} <= MAY_IMPORT.keys()


def test_no_import_goes_in_a_circle():
  try:
    TopologicalSorter(GRAPH).prepare()
  except CycleError as error:
    pytest.fail(' -> '.join(error.args[1]))


def test_no_system_imports_another():
  def system(name):
    return name.split('.')[2] if name.startswith('jaxgen.systems.') else None

  wrong = [
    f'{name} imports {other}'
    for name, others in GRAPH.items()
    for other in others
    if system(name) and system(other) not in (None, system(name))
  ]
  assert not wrong


def test_modules_are_found_by_name_only_through_the_registry():
  by_name = {
    name
    for name, path in MODULES.items()
    if re.search(r'import_module\(|__import__\(', path.read_text())
  }
  assert by_name <= BY_NAME


def test_orbax_has_two_doors_and_devices_one():
  def importers(pattern):
    return {name for name, path in MODULES.items() if re.search(pattern, path.read_text())}

  assert importers(r'(?m)^\s*(import|from) orbax') == {
    'jaxgen.run.checkpoint',
    'jaxgen.run.loading',
  }
  named = r'jax\.(local_)?devices\(|\bMesh\(|NamedSharding\(|SingleDeviceSharding\('
  assert importers(named) == {'jaxgen.run.devices', 'jaxgen.run.looking', 'jaxgen.run.startup'}
  assert importers(r'multihost_utils') == {'jaxgen.run.processes'}


def test_the_page_of_the_house_has_every_room_and_what_it_imports():
  page = (ROOT / 'docs' / 'house.md').read_text()
  rooms = {p.name for p in PACKAGE.iterdir() if (p / '__init__.py').is_file()}
  table = dict(re.findall(r'^\| `(\w+)/` \|.*\|([^|]*)\|$', page, re.MULTILINE))
  assert rooms == table.keys()
  for name, column in table.items():  # any room may import the top
    named = {x.strip(' `').removeprefix('the ') for x in column.split(',')} - {''}
    assert named | {'top'} == MAY_IMPORT[name], name

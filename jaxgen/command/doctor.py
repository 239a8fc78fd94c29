"""`jaxgen doctor`: facts about this machine and installation, ready to paste into a bug report."""

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxgen import __version__
from jaxgen.command.commands import Command
from jaxgen.words import counted

WIDTH = 79
# Programs that users may have besides jaxgen, which itself calls none of them.
PROGRAMS = ('nvidia-smi', 'ffmpeg', 'espeak-ng')
LOW_DISK = 2**30  # bytes
DEVELOPERS = ('docs', 'test')  # extras of no interest to users


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument('--json', action='store_true', help='one JSON object instead of text')


def _run(args: argparse.Namespace) -> None:
  found = examine()
  if args.json:
    print(json.dumps(found))
    return
  print('```text')
  for name, value in lines(found):
    wrapped = textwrap.wrap(value, WIDTH - 14, break_on_hyphens=False) or ['-']
    print(textwrap.indent('\n'.join(wrapped), ' ' * 14).replace(' ' * 14, f'{name:<14}', 1))
  print('```')


def examine() -> dict[str, Any]:
  """All facts by name; 'wrong' lists what the user should fix."""
  from jaxgen.machine import memory, packages, places, processors
  from jaxgen.run.looking import Looking

  looking = Looking()
  found: dict[str, Any] = {
    'jaxgen': __version__,
    'folder': str(places.package()),
    'executable': sys.executable,
    **processors.system(),
    'packages': [package._asdict() for package in packages.base()],
    'extras': [
      {
        **extra._asdict(),
        'packages': [x._asdict() for x in extra.packages],
        'missing': extra.missing,
      }
      for extra in packages.extras()
    ],
    'processors': processors.processors(),
    'memory': {
      'total': memory.total_memory(),
      'free': memory.available_memory(),
      'limit': memory.memory_limit(),
    },
    'nvidia': {'cards': processors.nvidia_cards(), 'driver': processors.nvidia_driver()},
    'environment': places.environment(),
    'cache': places.cache(),
    'data': places.data(),
    'weights': places.weights(),
    'programs': {name: shutil.which(name) for name in PROGRAMS},
  }
  found['jax'] = looking.result()
  found['wrong'] = list(faults(found))
  return found


def faults(found: dict[str, Any]) -> Iterator[str]:
  """What is wrong and how to fix it, one line each."""
  if not found['packages']:
    yield "jaxgen is not installed here, so its requirements are unknown: pip install '.'"
  for package in found['packages']:
    if not package['fits']:
      there = f'is {package["version"]}' if package['version'] else 'is not installed'
      wanted = f'{package["name"]}{package["wanted"]}'
      yield f"{package['name']} {there}: pip install '{wanted}'"
  jax, cards = found['jax'], found['nvidia']['cards']
  if jax['error']:
    yield jax['error']
  for platform, why in jax['failed'].items():
    yield f'JAX cannot use {platform}: {why}'
  if cards and not jax['error'] and not any(x['platform'] == 'gpu' for x in jax['devices']):
    yield f'JAX does not use the NVIDIA card: {_without_card(found)}'
  yield from _faults_of_folders(found)


def _without_card(found: dict[str, Any]) -> str:
  """What to do if a GPU is not used."""
  wanted = found['environment'].get('JAX_PLATFORMS')
  if wanted:
    return f'JAX_PLATFORMS={wanted} is set'
  cuda = next((extra for extra in found['extras'] if extra['name'] == 'cuda'), None)
  if cuda and cuda['missing']:
    return cuda['install']
  return 'check the driver with nvidia-smi'


def _faults_of_folders(found: dict[str, Any]) -> Iterator[str]:
  cache, data = found['cache'], found['data']
  if cache['error']:
    yield cache['error']
  elif not cache['writable']:
    yield f'the cache {cache["folder"]} is not writable: set JAXGEN_CACHE'
  elif cache['free'] < LOW_DISK:
    yield f'the cache disk has only {_size(cache["free"])} free: set JAXGEN_CACHE'
  if data['error']:
    yield data['error']
  if not found['weights']:
    yield 'jaxgen was installed without its weights: reinstall it'
  for name, why in found['weights'].items():
    if why:
      yield f'weights {name}: {why}; reinstall jaxgen'


def lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
  """(name, text) of each line."""
  yield 'jaxgen', f'{found["jaxgen"]} in {_home(found["folder"])}'
  yield 'Python', f'{found["python"]}, {_home(found["executable"])}'
  yield 'OS', found['os']
  yield 'packages', ', '.join(map(_named, found['packages'])) or 'unknown: not installed'
  yield from _hardware(found)
  yield 'environment', ' '.join(f'{k}={_home(x)}' for k, x in found['environment'].items())
  yield from _folders(found)
  for extra in found['extras']:
    yield f'[{extra["name"]}]', _extra(extra)
  programs = found['programs'].items()
  yield 'programs', ', '.join(f'{name} {_home(path) if path else "no"}' for name, path in programs)
  for fault in found['wrong']:
    yield 'WRONG', fault
  if not found['wrong']:
    yield 'wrong', 'nothing that jaxgen doctor knows of'


def _hardware(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
  cpu, ram, jax, nvidia = (found[x] for x in ('processors', 'memory', 'jax', 'nvidia'))
  quota = '' if cpu['quota'] is None else f', CPU quota {cpu["quota"]:.3g}'
  yield (
    'processor',
    f'{cpu["model"]}, {counted(cpu["cores"], "core")}, {cpu["usable"]} usable{quota}',
  )
  limit = '' if ram['limit'] is None else f', limit {_size(ram["limit"])}'
  yield 'memory', f'{_size(ram["total"])}, {_size(ram["free"])} free{limit}'
  cards = ', '.join(nvidia['cards']) or 'none'
  driver = f', driver {nvidia["driver"]}' if nvidia['driver'] else ''
  yield 'NVIDIA', f'{cards}{driver}'
  kinds = [(x['platform'], x['kind'], x['bytes']) for x in jax['devices']]
  for kind in dict.fromkeys(kinds):
    size = '' if kind[2] is None else f', {_size(kind[2])} for JAX'
    yield 'device', f'{kinds.count(kind)} x {kind[0]}, {kind[1]}{size}'
  if jax['error']:
    yield 'device', jax['error']
  for platform, why in jax['failed'].items():
    yield 'device', f'{platform} failed: {why}'


def _folders(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
  cache, data, weights = found['cache'], found['data'], found['weights']
  text = cache['error']
  if not text:
    at_least = '' if cache['counted'] else 'at least '
    size = f'{at_least}{_size(cache["bytes"])}' if cache['there'] else 'does not exist yet'
    writable = 'writable' if cache['writable'] else 'not writable'
    text = f'{_home(cache["folder"])}, {size}, {writable}, {_size(cache["free"])} free'
  yield 'cache', text
  sets = ', '.join(data['sets']) or 'no sets'
  unset = 'JAXGEN_DATA is not set'
  yield 'data', data['error'] or (f'{_home(data["folder"])}: {sets}' if data['folder'] else unset)
  whole = sum(not why for why in weights.values())
  yield 'weights', f'{whole} of {counted(len(weights), "file")} intact'


def _extra(extra: dict[str, Any]) -> str:
  purpose = f' ({extra["purpose"]})' if extra['purpose'] else ''
  if extra['name'] in DEVELOPERS:
    return f'{"no" if extra["missing"] else "there"}{purpose}'
  if not extra['missing']:
    return f'there{purpose}: {", ".join(map(_named, extra["packages"]))}'
  return f'no{purpose}: {extra["install"]}'


def _named(package: dict[str, Any]) -> str:
  return f'{package["name"]} {package["version"] or "missing"}'


def _size(size: int | None) -> str:
  if size is None:
    return 'unknown'
  return f'{size / 2**30:.1f} GiB' if size >= 2**30 else f'{size / 2**20:.1f} MiB'


def _home(text: str) -> str:
  """A path with the home folder abbreviated, which hides the user's name: bug reports are public."""
  try:
    return text.replace(str(Path.home()), '~') if len(Path.home().parts) > 1 else text
  except RuntimeError:  # no home folder
    return text


DOCTOR = Command(
  'doctor',
  'versions, devices, memory, caches: for a bug report',
  'Prints what a bug report needs, ready to paste: versions, devices, memory, folders, extras, and at the '
  'end what is wrong. Of the environment variables only JAX_*, JAXGEN_* and XLA_* are shown.',
  _add_arguments,
  _run,
)

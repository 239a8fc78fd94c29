"""`jaxgen memberships`, and `jaxgen sample` for one collection or component of a Mixed Membership GAN."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_images, add_workdir
from jaxgen.command.arguments import path as as_path
from jaxgen.command.commands import Command, Extension
from jaxgen.command.opening import opened, tell_failed
from jaxgen.data.image_files import check_folder_name
from jaxgen.errors import ConfigError
from jaxgen.files import check_file, check_folder
from jaxgen.systems.mmgan.asked import check_samples
from jaxgen.words import counted

if TYPE_CHECKING:
  import numpy as np

  from jaxgen.run.inference import Opened
  from jaxgen.systems.mmgan.apply import Membership, Samples
  from jaxgen.systems.mmgan.given import Group
  from jaxgen.systems.mmgan.report import Summary

LARGEST_SHEET = 1024  # samples


# --- Memberships ---


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser, read_only=True)
  add_images(parser, folders=True)
  parser.add_argument('--each', action='store_true', help='one row per image for folders too')
  parser.add_argument(
    '--sheet',
    type=as_path,
    metavar='FILE.png',
    help='write a picture: samples of each component, and the given images most confidently assigned to it',
  )


def _memberships(args: argparse.Namespace) -> None:
  if args.sheet and args.sheet.suffix.lower() != '.png':
    raise ConfigError(f'--sheet={args.sheet}: name a .png file')
  if args.sheet:
    check_file('--sheet', args.sheet)
  with opened(args, 'mmgan', 'has no memberships') as run:
    from jaxgen.systems.mmgan import given

    groups = given.groups(args.images)
    failed: list[str] = []
    found = _found(args, run, groups, failed)
    for group in groups:
      if group.skipped:
        run.reporter.warn(f'{group.folder}: {group.skipped} skipped')
    if args.json:
      _print_json(run, groups, found)
    elif found:
      _print_tables(args, run, groups, found)
    if args.sheet and found:
      _draw_sheet(args, run, found)
  tell_failed(failed, given.distinct(groups))


def _found(
  args: argparse.Namespace, run: 'Opened', groups: list['Group'], failed: list[str]
) -> dict[str, 'Membership']:
  """Memberships of all images by path; paths that cannot be read are appended to `failed`."""
  from jaxgen.data.image_folders import read_image
  from jaxgen.systems.mmgan import apply, given

  rule = apply.image_rule(run.trained)
  paths = given.distinct(groups)
  readable = []

  def tell(path: str, message: str) -> None:
    failed.append(path)
    run.reporter.warn(f'error: {message}')

  def images() -> Iterator['np.ndarray']:
    for path, pixels in given.read(paths, lambda x: read_image(x, rule, args.invert), tell):
      readable.append(path)
      yield pixels

  found = apply.memberships(run.trained, run.tools, images(), len(paths))
  return dict(zip(readable, found, strict=True))


def _by_folder(groups: list['Group'], found: dict[str, 'Membership']) -> dict[str, 'Summary']:
  """The summary of each folder with at least one readable image."""
  from jaxgen.systems.mmgan import report

  inside = {
    group.folder: [found[path] for path in group.paths if path in found]
    for group in groups
    if group.folder is not None
  }
  return {folder: report.summary(each) for folder, each in inside.items() if each}


def _print_json(run: 'Opened', groups: list['Group'], found: dict[str, 'Membership']) -> None:
  """Prints one line per image, then one per folder."""
  names = run.trained.facts['set_names']
  for path, x in found.items():
    sets = dict(zip(names, x.distribution, strict=True))
    print(json.dumps({'image': path, 'components': x.component, 'sets': sets}))
  for folder, total in _by_folder(groups, found).items():
    line = {
      'folder': folder,
      'images': total.images,
      'components': total.component,
      'sets': dict(zip(names, total.distribution, strict=True)),
      'component_counts': total.component_counts,
      'set_counts': dict(zip(names, total.distribution_counts, strict=True)),
    }
    print(json.dumps(line))


def _print_tables(
  args: argparse.Namespace, run: 'Opened', groups: list['Group'], found: dict[str, 'Membership']
) -> None:
  """Prints what the components are, then the individually named images, then folders."""
  from jaxgen.systems.mmgan import apply, given, report, shares

  names = run.trained.facts['set_names']
  inference = apply.make_inference(run.trained)
  alpha = inference.alpha(run.trained.variables)
  moved = not shares.hardly_moved(alpha, inference.unlearned_mixture())
  run.reporter.table(*report.components(alpha, names, moved))
  if not moved:
    run.reporter.say(f'NOTE: {shares.NOT_MOVED}.')
  drawn = run.folder / 'samples' / f'components_{run.trained.step:06}.png'
  where = drawn if drawn.is_file() else '--sheet FILE.png draws them'
  run.reporter.say(f'what they look like: {args.sheet or where}')
  listed = [group for group in groups if group.folder is None or args.each]
  each = {path: found[path] for path in given.distinct(listed) if path in found}
  folders = _by_folder(groups, found)
  tables = report.images(each, names) if each else []
  tables += report.folders(folders, names) if folders else []
  for table in tables:
    run.reporter.table(*table)


def _draw_sheet(args: argparse.Namespace, run: 'Opened', found: dict[str, 'Membership']) -> None:
  """Writes a sheet of samples of each component beside the images assigned to it most confidently."""
  from jaxgen.data.image_folders import read_image
  from jaxgen.pictures import png
  from jaxgen.systems.mmgan import apply, report, sheets

  inference, rule = apply.make_inference(run.trained), apply.image_rule(run.trained)
  surest = [
    [read_image(Path(path), rule, args.invert) for path in paths]
    for paths in report.surest(found, sheets.SHEET)
  ]
  picture = sheets.membership_sheet(inference, run.trained.variables, run.tools, surest)
  run.reporter.warn(f'wrote {png.write_image(args.sheet, picture)}')


# --- Samples ---


def _add_sample(parser: argparse.ArgumentParser) -> None:
  group = parser.add_argument_group('samples of one collection or component (mmgan)')
  add = group.add_argument
  add('--collection', metavar='NAME', help='name of a collection, or its number from 1')
  add('--component', metavar='K', type=int, help='number of a component, from 1')
  add('--count', type=int, metavar='N', help='number of samples; 64 by default')
  add('--seed', type=int, metavar='N', help='seed of the draws; 0 by default')
  add(
    '--output',
    type=as_path,
    metavar='DIR',
    help='write each sample to a file in DIR, instead of one sheet',
  )


def _wants_sample(args: argparse.Namespace) -> bool:
  options = args.collection, args.component, args.count, args.seed, args.output
  return any(x is not None for x in options)


def _sample(args: argparse.Namespace) -> None:
  count, seed = 64 if args.count is None else args.count, args.seed or 0
  check_samples(args.collection, args.component, count, seed)
  if not args.output and count > LARGEST_SHEET:
    raise ConfigError(f'--count above {LARGEST_SHEET} does not fit a sheet: use --output DIR')
  if args.output:
    check_folder('--output', args.output)
    check_folder_name('--output', args.output)
  with opened(args, 'mmgan', 'has no collections and no components') as run:
    from jaxgen.systems.mmgan import apply

    trained = run.trained
    collection, component = apply.chosen(trained, args.collection, args.component)
    drawn = apply.samples(trained, run.tools, count, collection, component, seed)
    if args.output:
      _write_each(drawn, args.output)
      run.reporter.say(f'wrote {counted(count, "sample")} to {args.output}')
    else:
      run.reporter.say(f'wrote {_write_sheet(drawn, run, collection, component)}')


def _write_each(drawn: Iterable['Samples'], folder: Path) -> None:
  """Writes one file per sample, whose name ends in the component that made it."""
  from jaxgen.pictures import png
  from jaxgen.systems.mmgan import sheets

  index = 0
  for part in drawn:
    for pixels, k in zip(sheets.to_levels(part.image), part.component, strict=True):
      png.write_image(folder / f'{index:06}_c{k + 1}.png', pixels)
      index += 1


def _write_sheet(
  drawn: Iterable['Samples'], run: 'Opened', collection: int | None, component: int | None
) -> Path:
  """Writes one picture to the run's samples/ folder."""
  import numpy as np

  from jaxgen.pictures import png
  from jaxgen.systems.mmgan import apply, sheets

  names, inference = run.trained.facts['set_names'], apply.make_inference(run.trained)
  alpha = inference.alpha(run.trained.variables)
  if collection is not None:
    name, title = f'collection_{collection + 1}', sheets.collection_title(collection, alpha, names)
  else:
    k = component or 0
    name, title = f'component_{k + 1}', sheets.component_title(k, alpha, inference)
  images = sheets.visible(np.concatenate([part.image for part in drawn]))
  file = run.folder / 'samples' / f'{name}_{run.trained.step:06}.png'
  return png.write_image(file, sheets.sheet(images, title))


COMMANDS = (
  Command(
    'memberships',
    'components and collections of your images (mmgan)',
    'Computes the posteriors of images over components and over collections, each with a uniform prior, and '
    "summarises folders. Images of another size are resized to the model's as in training.",
    _add_arguments,
    _memberships,
  ),
)
EXTENSIONS = (Extension('sample', _add_sample, _wants_sample, _sample),)

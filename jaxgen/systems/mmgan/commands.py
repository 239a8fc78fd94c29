"""`jaxgen memberships`: a person's own images under a trained Mixed Membership GAN."""

import argparse
import json
from pathlib import Path

from jaxgen.command.arguments import add_images, add_workdir
from jaxgen.command.commands import Command
from jaxgen.command.opening import opened, read_each, tell_failed


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser)
  add_images(parser)


def _memberships(args: argparse.Namespace) -> None:
  with opened(args, 'mmgan', 'has no memberships') as run:
    from jaxgen.data.image_folders import read_image
    from jaxgen.systems.mmgan import apply

    rule = apply.image_rule(run.trained)
    images, failed = read_each(
      args.images, lambda path: read_image(Path(path), rule, args.invert), run.reporter.warn
    )
    found = apply.memberships(run.trained, run.tools, list(images.values()))
  names = run.trained.facts['set_names']
  if args.json:
    for path, x in zip(images, found, strict=True):
      sets = dict(zip(names, x.distribution, strict=True))
      print(json.dumps({'image': path, 'components': x.component, 'sets': sets}))
  elif images:
    columns = ['image', *(f'c{k + 1}' for k in range(len(found[0].component))), *names]
    rows = [[p, *x.component, *x.distribution] for p, x in zip(images, found, strict=True)]
    title = 'probabilities of components (c) and of collections'
    run.reporter.table(title, columns, rows)
  tell_failed(failed, args.images)


COMMANDS = (
  Command(
    'memberships',
    'components and collections of your images (mmgan)',
    'Posteriors of images over components and over collections, both uniform before seeing the image. '
    "Images of another size are brought to the model's as in training.",
    _add_arguments,
    _memberships,
  ),
)

"""`jaxgen score`: scores the user's own images with a trained Compound VAE."""

import argparse
import json

from jaxgen.command.arguments import add_images, add_workdir
from jaxgen.command.commands import Command
from jaxgen.command.opening import opened, read_each, tell_failed


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser, read_only=True)
  add_images(parser)


def _score(args: argparse.Namespace) -> None:
  with opened(args, 'comvae', 'scores no images') as run:
    from jaxgen.photos.images import read_grey
    from jaxgen.systems.comvae import apply

    height, width = apply.image_size(run.trained)
    images, failed = read_each(
      args.images, lambda path: read_grey(path, height, width, args.invert), run.reporter.warn
    )
    scores = apply.score_images(run.trained, run.tools, list(images.values()))
  if args.json:
    for path, score in zip(images, scores, strict=True):
      print(json.dumps({'image': path, **score._asdict()}))
  elif images:
    columns = ['image', 'negative ELBO', 'NLL (importance bound)', 'weight variance']
    rows = [
      [p, s.negative_elbo, s.nll_importance, f'{s.weight_variance:.4f}']
      for p, s in zip(images, scores, strict=True)
    ]
    run.reporter.table('nats', columns, rows)
  tell_failed(failed, args.images)


COMMANDS = (
  Command(
    'score',
    'ELBO, likelihood and uncertainty of your images (comvae)',
    'Computes negative ELBO, importance bound (both in nats) and weight variance of your own images. Images '
    "of another size are resized to fit into the model's.",
    _add_arguments,
    _score,
  ),
)

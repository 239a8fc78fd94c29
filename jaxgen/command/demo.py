"""`jaxgen demo`: a local page for all systems."""

import argparse
import os
import sys
import time

from jaxgen.command.arguments import workdir
from jaxgen.command.commands import Command
from jaxgen.errors import ConfigError

PORT = 7860


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('--port', type=int, default=PORT, help=f'local port of the page; {PORT} by default')
  add(
    '--run',
    type=workdir,
    dest='runs',
    action='append',
    default=[],
    metavar='WORKDIR',
    help='a trained run of your own, or a .safetensors file from jaxgen export, offered in the tabs of its '
    'system; may be repeated',
  )
  add('--open', action='store_true', help='open the page in the browser')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for an invalid port, or if Gradio is not installed."""
  if not 0 <= args.port < 2**16:
    raise ConfigError(f'--port {args.port}: must be from 1024 to 65535, or 0 for any free port')
  try:
    import gradio
  except ImportError as error:
    raise ConfigError(
      f"gradio is needed for the page: pip install 'jaxgen[demo]' ({error})"
    ) from error
  del gradio


def _demo(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.demo.jobs import JobsGoOn
  from jaxgen.demo.server import serving
  from jaxgen.run import startup
  from jaxgen.terminal.signals import Stopped, StopSignals

  startup.check_platforms()
  if sys.stderr.isatty():
    print('opening the page: this takes a few seconds', file=sys.stderr)
  with StopSignals('closing the page') as signals:
    try:
      with serving(args.port, args.runs) as address:
        print(f'{address} is open; Ctrl-C closes it', flush=True)
        if args.open:
          import webbrowser

          webbrowser.open(address)
        while not signals.received:
          time.sleep(0.2)
    except JobsGoOn:  # exiting normally would crash a thread inside compiled code
      os._exit(128 + signals.received)
  raise Stopped(signals.received)


DEMO = Command(
  'demo',
  'a local web page to try all systems',
  'Serves a page on this machine, with tabs for all systems: upscale a picture, write and read words, read '
  'lips, make a face talk. Nothing leaves the machine.',
  _add_arguments,
  _demo,
)

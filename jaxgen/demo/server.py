"""The server of the page: on this machine only, with all of its files in one temporary folder.

No request leaves the machine. Gradio's analytics, version check and run history are off, a policy forbids
the browser to fetch anything from other servers, and the server accepts no URL in place of a file.
"""

import contextlib
import errno
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
import uvicorn
from gradio import processing_utils, routes
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from jaxgen.demo import limits, look
from jaxgen.demo.building import build, find_tabs
from jaxgen.demo.jobs import Jobs, JobsGoOn
from jaxgen.demo.runs import open_runs
from jaxgen.demo.tab import Page, Tab
from jaxgen.errors import ConfigError, UserError

HOST = '127.0.0.1'
# Seconds to wait at shutdown for jobs that were told to stop.
_PATIENCE = 5
# Gradio's page has inline scripts and styles, and creates workers and pictures from its own data.
_POLICY = '; '.join(
  (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "frame-ancestors 'none'",
    "base-uri 'self'",
    "form-action 'self'",
  )
)
_ENVIRONMENT = {
  'GRADIO_ANALYTICS_ENABLED': 'False',
  'GRADIO_RUN_HISTORY': 'False',
  'MPLBACKEND': 'agg',
  'HF_HUB_OFFLINE': '1',
  'HF_HUB_DISABLE_TELEMETRY': '1',
}


class _Policy:
  """Middleware that adds the policy to every response, and rejects cross-origin requests of browsers."""

  def __init__(self, app: Any):
    self._app = app

  async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
    if scope['type'] != 'lifespan' and not _is_own(Headers(scope=scope)):
      await PlainTextResponse('requests from other sites are refused', 403)(scope, receive, send)
      return

    async def sent(message: Any) -> None:
      if message['type'] == 'http.response.start':
        message['headers'] = [
          *message.get('headers', ()),
          (b'content-security-policy', _POLICY.encode()),
          (b'referrer-policy', b'no-referrer'),
        ]
      await send(message)

    await self._app(scope, receive, sent)


def _is_own(headers: Headers) -> bool:
  """Whether a request comes from this page, from a typed URL, or from a client other than a browser."""
  origin = headers.get('origin')
  return origin is None or origin == f'http://{headers.get("host")}'


def listen(port: int) -> socket.socket:
  """A socket that is reachable only from this machine.

  Raises:
    ConfigError: the port is not available.
  """
  found = socket.socket()
  found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    found.bind((HOST, port))
    found.listen()
  except OSError as error:
    found.close()
    if error.errno == errno.EADDRINUSE:
      why = f'is in use by another program: name another, as --port {port + 1}'
    else:
      why = f'cannot be opened ({error.strerror}): name another, from 1024 up'
    raise ConfigError(f'--port {port} {why}') from error
  return found


@contextlib.contextmanager
def _kept_inside(folder: Path) -> Iterator[None]:
  """Context in which all temporary files go below a folder, and no URL given by a user is fetched."""
  files = folder / 'files'
  files.mkdir()
  folders = {'GRADIO_TEMP_DIR': str(files), 'TMPDIR': str(folder), 'MPLCONFIGDIR': str(folder)}
  changed = {**_ENVIRONMENT, **folders}
  before = {name: os.environ.get(name) for name in changed}
  directory, fetch = tempfile.tempdir, processing_utils.async_ssrf_protected_download
  own = routes.DEFAULT_TEMP_DIR  # determined when Gradio was imported
  os.environ.update(changed)
  tempfile.tempdir = str(folder)
  processing_utils.async_ssrf_protected_download = _refuse
  routes.DEFAULT_TEMP_DIR = str(files)
  try:
    yield
  finally:
    routes.DEFAULT_TEMP_DIR = own
    processing_utils.async_ssrf_protected_download = fetch
    tempfile.tempdir = directory
    for name, value in before.items():
      if value is None:
        os.environ.pop(name, None)
      else:
        os.environ[name] = value


async def _refuse(url: str, cache_dir: str) -> str:
  del cache_dir
  raise gr.Error(
    f'{url} is a remote file, and this page downloads nothing: upload it instead',
    print_exception=False,
  )


class _Server(uvicorn.Server):
  """A server for use in a thread, where signals cannot be handled."""

  @contextlib.contextmanager
  def capture_signals(self) -> Iterator[None]:
    yield


@contextlib.contextmanager
def serving(
  port: int, runs: Sequence[Path] = (), tabs: Sequence[Tab] | None = None
) -> Iterator[str]:
  """Serves the page for as long as the context lasts.

  Args:
    port: local port; 0 for any that is free.
    runs: the user's own runs, as for `open_runs`.
    tabs: by default those that systems provide.

  Yields:
    str: the URL.

  Raises:
    ConfigError: the port is not available, or no tab accepts a run.
    CheckpointError: a run cannot be read.
    JobsGoOn: at the end, if a job did not stop when told to.
  """
  tabs = find_tabs() if tabs is None else tabs
  with (
    contextlib.closing(listen(port)) as found,
    tempfile.TemporaryDirectory(prefix='jaxgen_demo_', ignore_cleanup_errors=True) as name,
  ):
    opened = open_runs(runs, tabs)
    folder = Path(name).resolve()
    with _kept_inside(folder):
      jobs = Jobs(folder / 'made')
      blocks = build(Page(folder, opened, jobs), tabs)
      app = _application(blocks, found.getsockname()[1])
      with _running(app, blocks, found, jobs):
        yield f'http://{HOST}:{found.getsockname()[1]}'


def _application(blocks: gr.Blocks, port: int) -> fastapi.FastAPI:
  import matplotlib.pyplot  # noqa: F401 (Gradio would import it at the first click, for seconds)

  hosts = [HOST, 'localhost']  # against DNS rebinding by other pages
  app = fastapi.FastAPI(
    openapi_url=None,
    middleware=[Middleware(_Policy), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
  )
  gr.mount_gradio_app(
    app,
    blocks,
    path='/',
    server_name=HOST,
    server_port=port,
    footer_links=[],
    run_history=False,
    max_file_size=limits.max_bytes(),
    ssr_mode=False,
    enable_monitoring=False,
    pwa=False,
    mcp_server=False,
    theme=look.theme(),
    css=look.CSS,
    head=limits.head(),
  )
  limits.say(blocks)
  blocks.has_launched = True  # or Gradio would treat any local file as an uploaded one
  return app


@contextlib.contextmanager
def _running(
  app: fastapi.FastAPI, blocks: gr.Blocks, found: socket.socket, jobs: Jobs
) -> Iterator[None]:
  """Serves requests in a thread; at the end all jobs are stopped.

  Raises:
    UserError: the server does not start.
    JobsGoOn: see `serving`.
  """
  config = uvicorn.Config(
    app,
    log_config=None,  # its own would close the program's handlers
    log_level='warning',
    timeout_graceful_shutdown=1,
    access_log=False,
    lifespan='on',
  )
  server = _Server(config)
  thread = threading.Thread(target=server.run, kwargs={'sockets': [found]}, daemon=True)
  thread.start()
  try:
    while not server.started:
      thread.join(timeout=0.01)
      if not thread.is_alive():
        raise UserError('the server of the page did not start')
    yield
  finally:
    jobs.stop_all()
    blocks.is_running = False  # ends event streams to browsers
    blocks.app.stop_event.set()
    logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)  # about dropped connections
    server.should_exit = True
    thread.join(timeout=10)
    ended = jobs.wait_for_end(_PATIENCE)
  if not ended:
    raise JobsGoOn

"""What the page takes at most, and what it says of more: Gradio's own lines name no way out."""

import json
from typing import Any

import gradio as gr

# Of an uploaded file.
MAX_FILE_MB = 64
# Work that may wait for its turn, of all persons together.
MAX_WAITING = 64
TOO_LARGE = (
  f'%s is larger than {MAX_FILE_MB} MB, the most that this page takes: make it smaller, or give it to the '
  'command of this tab in a terminal'
)
FULL = f'{MAX_WAITING} jobs wait already, the most that this page keeps: try again when some of them are done'
# Gradio's page puts `HTTP 413:` before what the server says of an upload, but not before what an answer
# raises when it is read.
_CHECK = """<script>{
  const ask = window.fetch;
  const large = (file) => file.size > %d;
  window.fetch = (address, options) => {
    const files = options?.body instanceof FormData ? options.body.getAll('files') : [];
    const refused = files.find(large);
    if (!refused) return ask(address, options);
    const error = Error(%s.replace('%%s', () => refused.name));
    return Promise.resolve({ok: true, json: () => Promise.reject(error)});
  };
}</script>"""


def max_bytes() -> int:
  """Of an uploaded file."""
  return MAX_FILE_MB * 2**20


def head() -> str:
  """HTML for the page's head: it refuses a file that is too large before any of it is sent."""
  return _CHECK % (max_bytes(), json.dumps(TOO_LARGE))


def say(blocks: gr.Blocks) -> None:
  """Puts the page's lines in the place of Gradio's, once the page is mounted."""
  blocks.config['max_file_size'] = None  # for the browser alone; the server goes on refusing
  queue: Any = blocks._queue
  push = queue.push

  async def pushed(*args: Any, **options: Any) -> tuple:
    done, said, kind = await push(*args, **options)
    # To what it calls `queue_full` the browser has a line of its own.
    return (done, FULL, 'error') if kind == 'queue_full' else (done, said, kind)

  queue.push = pushed

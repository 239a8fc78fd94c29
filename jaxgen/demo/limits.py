"""Limits of the page, and messages on exceeding them: Gradio's own suggest no remedy."""

import json
from typing import Any

import gradio as gr

# Maximum size of an uploaded file.
MAX_FILE_MB = 64
# Maximum number of queued jobs, of all users together.
MAX_WAITING = 64
TOO_LARGE = (
  f'%s is larger than {MAX_FILE_MB} MB, the limit of this page: make it smaller, or use the '
  'command of this tab in a terminal'
)
FULL = f'{MAX_WAITING} jobs are waiting already, the limit of this page: try again when some of them are done'
# Gradio's page puts `HTTP 413:` before the server's message about an upload, but not before an error raised
# while the response is read.
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
  """The maximum size of an uploaded file, in bytes."""
  return MAX_FILE_MB * 2**20


def head() -> str:
  """HTML for the page's head: rejects a file that is too large before any of it is sent."""
  return _CHECK % (max_bytes(), json.dumps(TOO_LARGE))


def say(blocks: gr.Blocks) -> None:
  """Replaces Gradio's messages with the page's own, once the page is mounted."""
  blocks.config['max_file_size'] = None  # for the browser only; the server still rejects them
  queue: Any = blocks._queue
  push = queue.push

  async def pushed(*args: Any, **options: Any) -> tuple:
    done, said, kind = await push(*args, **options)
    # The browser has its own message for `queue_full`.
    return (done, FULL, 'error') if kind == 'queue_full' else (done, said, kind)

  queue.push = pushed

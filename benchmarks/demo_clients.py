"""Measures how long ten people wait who press the button of one tab of `jaxgen demo` at the same time.

    python benchmarks/demo_clients.py --out benchmarks/results/demo_clients.json

Each enlarges the same picture to twice its size. It measures the seconds from the press to the answer for one
person alone and for the first and the last of ten, and how many got no answer.
"""

import io
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import machine
import skimage
from PIL import Image

from jaxgen.command import exits
from jaxgen.demo.server import serving
from jaxgen.demo.tab import SHIPPED

PERSONS = 10
SIZE = 160, 120


def picture() -> bytes:
  """A small photograph as PNG."""
  file = io.BytesIO()
  Image.fromarray(skimage.data.coffee()).resize(SIZE).save(file, 'PNG')
  return file.getvalue()


def enlarge(address: str, session: str, content: bytes) -> float:
  """Seconds that one person waits; NaN if the page does not answer."""
  with httpx.Client(base_url=address, trust_env=False, timeout=600) as client:
    sent = client.post('/gradio_api/upload', files={'files': ('photo.png', content)})
    value = {'path': sent.json()[0], 'meta': {'_type': 'gradio.FileData'}}
    values = [value, 2, 'auto', False, False, 'auto', SHIPPED]
    began = time.monotonic()
    pressed = client.post(
      '/gradio_api/call/upscale', json={'data': values, 'session_hash': session}
    )
    answer = client.get(f'/gradio_api/call/upscale/{pressed.json()["event_id"]}').text
    took = time.monotonic() - began
  return took if 'event: complete' in answer else float('nan')


def measure() -> dict[str, Any]:
  """Seconds for one person alone and for ten at once."""
  content = picture()
  with serving(0) as address:
    enlarge(address, 'first', content)  # compiles
    alone = enlarge(address, 'alone', content)
    with ThreadPoolExecutor(PERSONS) as pool:
      took = list(pool.map(lambda i: enlarge(address, f'person {i}', content), range(PERSONS)))
  answered = [x for x in took if not math.isnan(x)]
  return {
    'size': SIZE,
    'alone_s': round(alone, 2),
    'first_of_ten_s': round(min(answered), 2),
    'last_of_ten_s': round(max(answered), 2),
    'without_answer': PERSONS - len(answered),
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))

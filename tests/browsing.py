"""What the tests of the page use: its requests, without a browser."""

import json

import httpx


class Person:
  """Somebody who has the page open.

  Args:
    address: of the page.
    session: a name of theirs.
  """

  def __init__(self, address, session):
    self._session = session
    self.client = httpx.Client(base_url=address, trust_env=False, timeout=120)

  def upload(self, path, name=None):
    """The value of a field for files."""
    sent = self.client.post(
      '/gradio_api/upload', files={'files': (name or path.name, path.read_bytes())}
    )
    assert sent.status_code == 200, sent.text
    return {'path': sent.json()[0], 'meta': {'_type': 'gradio.FileData'}}

  def _at_once(self, name, further, *values):
    """Does what has a name on the page, or stands before or after it in the page's list."""
    listed = self.client.get('/config').json()['dependencies']
    (number,) = [x['id'] for x in listed if x['api_name'] == name]
    body = {'data': list(values), 'fn_index': number + further, 'session_hash': self._session}
    assert self.client.post('/gradio_api/run/predict', json=body).status_code == 200

  def click_example(self, row):
    """Clicks an example of the first tab."""
    self._at_once('load_example', 0, row)

  def stop(self, name):
    """Presses Stop."""
    self._at_once(f'{name}_stop', 0)

  def press(self, name, *values):
    """Starts a job; returns its number, for `answer`."""
    self._at_once(name, -1)
    body = {'data': list(values), 'session_hash': self._session}
    return self.client.post(f'/gradio_api/call/{name}', json=body).json()['event_id']

  def answer(self, name, event):
    """The values of a job's outputs, or what the page says is wrong, once it has ended."""
    lines = self.client.get(f'/gradio_api/call/{name}/{event}').text.splitlines()
    kinds = [line.removeprefix('event: ') for line in lines if line.startswith('event: ')]
    data = [line.removeprefix('data: ') for line in lines if line.startswith('data: ')]
    said = json.loads(data[-1])
    return said['error'] if kinds[-1] == 'error' else said

  def ask(self, name, *values):
    """`press` and `answer`."""
    return self.answer(name, self.press(name, *values))

  def fetch(self, file):
    """The bytes of a file that a job gave out."""
    got = self.client.get(f'/gradio_api/file={file["path"]}')
    assert got.status_code == 200, got.text
    return got.content

"""Makes `jaxgen/voices/words.npz`, recordings for lipgen's synthesis, as the README beside it describes.

pip install 'jaxgen[speech]'
python benchmarks/lipgen_voices.py
"""

import io
import sys

import numpy as np

from jaxgen.command import exits
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.procedural.takes import WORDS
from jaxgen.systems.lipgen.voices.espeak import speak_word
from jaxgen.systems.lipgen.voices.recordings import BUNDLED, packed, recorded

# Male and female voices, two of them by Klatt synthesis; each at its own pace, in words a minute.
VOICES = {
  'm1': 140, 'm3': 165, 'm7': 150, 'Andy': 170, 'Michael': 130, 'klatt2': 150,
  'adam': 170, 'f1': 150, 'f2': 135, 'f3': 165, 'Annie': 145, 'linda': 160,
}  # fmt: skip


def main() -> None:
  """Speaks all words in all voices and writes them; byte-identical each time."""
  made = [
    recorded(word, voice, speak_word(word, voice, rate))
    for word in WORDS
    for voice, rate in VOICES.items()
  ]
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **packed(made))
  size = write_bytes(BUNDLED, buffer.getvalue()).stat().st_size
  longest = max(len(one.mel) for one in made)
  print(f'{len(made)} recordings of at most {longest} rows, {size:,} bytes')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))

"""Makes the README's picture of `jaxgen read`: a line, and below it the reading, each character under its span.

jaxgen write Dimanche --styles 4 --output words/
python benchmarks/handwriting_reading.py words/Dimanche*_0_4.png docs/images/handwriting_read.png
"""

import argparse
import sys
from pathlib import Path

import machine
from PIL import Image, ImageDraw, ImageFont

from jaxgen.command import exits
from jaxgen.run import inference
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.reading.pictures import open_picture
from jaxgen.systems.handwriting.reading.service import Answer, Service
from jaxgen.systems.handwriting.reading.understanding import Decoding

HEIGHT, BELOW = 128, 64  # rows of the line and of its reading
COLOURS = '#c2410c', '#1d4ed8'


def explained(line: Image.Image, answer: Answer) -> Image.Image:
  """The line with its reading below."""
  scale = HEIGHT / line.height
  width = round(line.width * scale)
  sheet = Image.new('RGB', (width, HEIGHT + BELOW), 'white')
  sheet.paste(line.convert('RGB').resize((width, HEIGHT), Image.Resampling.LANCZOS), (0, 0))
  draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(28)
  for i, span in enumerate(answer.characters):
    left, right, colour = span.start * scale, span.end * scale, COLOURS[i % 2]
    draw.line([(left + 1, HEIGHT), (right - 1, HEIGHT)], colour, 4)
    draw.text(((left + right) / 2, HEIGHT + 10), span.text, colour, font, anchor='ma')
  return sheet


def main() -> None:
  """Reads the line, prints the reading and writes the picture."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('line', type=Path, help='an image of one line')
  parser.add_argument('picture', type=Path, help='to write')
  args = parser.parse_args()
  weights = apply.shipped_reader()
  trained = inference.load(weights)
  model = apply.reading_model(trained, apply.measured_calibration(weights, trained.step))
  service = Service(model, Decoding(nbest=1))
  picture = open_picture(args.line, model.preprocessing(), model.widest)
  (answer,) = service([picture])
  machine.say(f'{answer.text}: {answer.confidence:.2f}')
  explained(Image.open(args.line), answer).save(args.picture, optimize=True)


if __name__ == '__main__':
  sys.exit(exits.guarded(main))

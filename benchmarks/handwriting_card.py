"""The model cards of the nets of `jaxgen read` and `jaxgen write`, from their rows of the result file."""

import textwrap
from typing import Any

from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.systems.handwriting import config as writers
from jaxgen.systems.handwriting import recogniser

TERMS = (
  'Trained on DHSD, the German Handwriting Street-name Dataset (N. Riaz, S. Saifullah, S. Agne, A. '
  'Dengel, S. Ahmed, DFKI and RPTU, doi 10.5281/zenodo.18743313), on Lectaurep Repertoires (Archives '
  'nationales, Inria, EPHE) and on CREMMA-AN-TestamentsDePoilus (both of HTR-United), all CC BY 4.0, '
  'and on words that jaxgen drew. Words were cut to their ink, joined to lines and distorted. The names '
  'of places and streets in DHSD are of OpenStreetMap, (c) OpenStreetMap contributors, under the Open '
  'Database License 1.0.'
)
WIDTH = 110
AGAIN = (
  '      --config.num_steps={} --config.optim.decay_from={} --config.augment.shear=0.2 \\\n'
  '      --config.init_from=runs/{}.safetensors'
)
COMMAND = '    python launch.py --config=configs/{} --workdir=runs/{}'
HEADER = (
  "Float32; the file's header holds its config and facts, so `jaxgen.load(file)` gives all that is needed to "
  'apply it.'
)
WRITER_TERMS = (
  'Trained on words that jaxgen drew: of a French list (CC0), in faces under the SIL Open Font License '
  '1.1 and, one, the Apache License 2.0.'
)
READER_LIMITS = (
  'It reads French and German words and single lines, dark on light or light on dark. Margins around words of '
  'DHSD matter little; lines of the testaments are read worse with margins, and words of Lectaurep, whose ink '
  'fills the height, much worse (docs/handwriting.md has figures). Of real handwriting it saw '
  'place names of today, and registers and wills of 1830 to 1939; modern French cursive it knows only from '
  'drawn words. It does not know À, Ë, Ï, Ô, Ù, Û, Ÿ and Œ. It transcribes letters as they are written, and '
  'does not read whole pages.'
)
READER_EARLIER = 7_433, 12_000, 8_000  # updates of the reader's earlier runs
READER_START = (
  'The first run of this net had 10,000 drawn words, where the variant has 4,000, and was stopped after '
  '7,433 of its 8,000 updates (its time is not recorded); the second took 55 minutes and the third 56 on two '
  'cores of an AMD EPYC. That makes {total:,} updates in all. The drawn words of the first two runs lacked the '
  'symbols that real words lack. The first three kept the margins of pictures and had no `augment.frame`; the '
  'last one left out margins (until the ink filled half of the height, and only where it filled less than .4).'
)
READER_SCORES = (
  'Error rates are those of `jaxgen read --score` on test pictures; no writer of a test set was seen in '
  'training. ECE is the expected calibration error of words. The last column is the ECE of words that are '
  'right exactly as often as their confidence says: its mean, and what one of twenty sets of this size '
  'exceeds. Tesseract got each picture with a margin of 16 white pixels, as a line for sets with spaces and as '
  'a word otherwise.'
)
FIRST_LETTERS = (
  "abcdefghijklmnopqrstuvwxyzàâæçéèêëîïôœùûüÿABCDEFGHIJKLMNOPQRSTUVWXYZÀÂÆÇÉÈÊËÎÏÔŒÙÛÜ0123456789-'"
)
WRITER_FIRST = 3_914  # seconds of the writer's first run
WRITER_START = (
  'The first run, without punctuation, took {first:.0f} minutes: {updates:,} updates and {total:.0f} minutes '
  'in all.'
)
WRITER_LIMITS = (
  'It copies the hands of ten drawn faces, which it learned by regression to drawings. In the game of the '
  'last 800 updates the discriminator could not tell drawn words from generated ones (hinge loss 2.00 to '
  '2.07). It writes letters, digits and punctuation of French, up to 12 characters per word, 32 pixels high. '
  "It has seen no real handwriting and imitates nobody's. In its header, `eval.faces` leaves out an eleventh "
  'face, which it has not learned, and `eval.truncation` halves the noise of training.'
)
PLACES = (
  'The centre of a character is off by {away:.2f} of its width (median) in {words} drawn words that are read '
  'correctly, since the header has a shift of {shift:.1f} columns, at height 64, for the places of characters, '
  'fitted on other words; without it, by {away_without:.2f}.'
)
MOST_ECE = 0.05
LOST = 0.9  # least misread rate of a letter that a reader's card names
WEAK = 0.25  # least misread rate of a symbol that the card names
SOURCES = {
  'dhsd': 'DHSD',
  'lectaurep': 'Lectaurep Repertoires',
  'poilus': 'CREMMA-AN-TestamentsDePoilus',
}


def reader_card(row: dict[str, Any]) -> str:
  """The reader's model card."""
  results = [
    Result(
      'handwriting_reader',
      name,
      {key: round(found['jaxgen'][key], 4) for key in ('cer', 'wer')},
      f'{SOURCES[name]}, writers not seen in training',
    )
    for name, found in row['sets'].items()
  ]
  front = cards.front_matter(
    recogniser.ABOUT, Licence('cc-by-4.0'), results, SOURCES, (), ('fr', 'de')
  )
  return _card(front, '# The net behind `jaxgen read`', TERMS, _reader(row))


def writer_card(row: dict[str, Any]) -> str:
  """The writer's model card."""
  cer = {'cer': round(row['evaluation']['generated_cer_unseen'], 4)}
  about = 'generated words not seen in training, read by an independent recogniser'
  results = [Result('handwriting', 'drawn-words', cer, about)]
  front = cards.front_matter(writers.ABOUT, Licence('apache-2.0'), results, (), (), ('fr',))
  return _card(front, '# The net behind `jaxgen write`', WRITER_TERMS, _writer(row))


def _card(front: str, title: str, terms: str, section: str) -> str:
  parts = [
    f'{front}\n{title}',
    textwrap.fill(HEADER, WIDTH),
    '## Terms',
    textwrap.fill(terms, WIDTH),
    section,
  ]
  return '\n\n'.join(parts) + '\n'


def _trained(row: dict[str, Any]) -> str:
  return textwrap.fill(
    f'{row["parameters"]:,} parameters; {row["steps"]:,} updates{_begun(row)}, '
    f'{row["seconds"] / 60:.0f} minutes on '
    f'{row["hardware"]}, shared with other work, {row["date"]}, seed {row["seed"]}.',
    WIDTH,
  )


def _begun(row: dict[str, Any]) -> str:
  return f' after {row["begins_with"]:,} of another run' if row['begins_with'] else ''


def _reader(row: dict[str, Any]) -> str:
  lines = [
    f'| {name} | {who} | {found["num_examples"]} | {found["cer"]:.4f} | {found["wer"]:.4f} | '
    f'{_number(found.get("ece"))} | {_chance(found)} |'
    for name, of_set in row['sets'].items()
    for who, found in of_set.items()
  ]
  return '\n'.join([
    '## handwriting_reader.safetensors',
    '',
    _trained(row),
    '',
    COMMAND.format('handwriting_recogniser.py:french_german', 'first'),
    '    jaxgen export runs/first',
    COMMAND.format('handwriting_recogniser.py:french_german', 'second') + ' \\',
    AGAIN.format(12_000, 0.4, 'first'),
    '    jaxgen export runs/second',
    COMMAND.format('handwriting_recogniser.py:french_german', 'third') + ' \\',
    AGAIN.format(8_000, 0.4, 'second'),
    '    jaxgen export runs/third',
    COMMAND.format('handwriting_recogniser.py:french_german', 'reader') + ' \\',
    AGAIN.format(row['steps'], row['config']['optim.decay_from'], 'third'),
    '',
    textwrap.fill(
      f'{READER_START.format(total=sum(READER_EARLIER) + row["steps"])} {READER_SCORES}'
      f'{_missed(row["sets"])} {_fitted(row["together"])}',
      WIDTH,
    ),
    '',
    textwrap.fill(_letters(row['letters']), WIDTH),
    '',
    textwrap.fill(PLACES.format(**row['symbols']), WIDTH),
    '',
    '| set | reader | pictures | CER | WER | ECE | by chance |',
    '|---|---|---|---|---|---|---|',
    *lines,
    '',
    textwrap.fill(READER_LIMITS, WIDTH),
  ])  # fmt: skip


def _letters(found: dict[str, Any]) -> str:
  """How much a reader relies on context, and which letters it hardly reads without."""
  rates = found['misread']
  lost = [letter for letter, rate in rates.items() if rate >= LOST]
  return (
    'It relies on context. In 20 drawn French words each, a letter of its charset was put in place of another, '
    f'capitals at the beginning ({found["date"]}): it misreads these letters at a rate of '
    f'{sum(rates.values()) / len(rates):.2f} on average over letters, and of {LOST:g} or more for '
    f'{" ".join(lost)}.'
  )


def _fitted(together: dict[str, Any]) -> str:
  """What fitting the confidences on validation changed on test."""
  return (
    f'Over all three sets the ECE is {together["ece"]:.3f} with the confidences as they are fitted on '
    f'validation, and {together["ece_uncalibrated"]:.3f} without.'
  )


def _missed(sets: dict[str, Any]) -> str:
  """A sentence on the sets whose calibration error is larger than what was aimed at."""
  names = [name for name, found in sets.items() if found['jaxgen']['ece'] > MOST_ECE]
  more = f' An ECE of {MOST_ECE:g} at most was aimed at; more than that: {", ".join(names)}.'
  return more if names else ''


def _writer(row: dict[str, Any]) -> str:
  found = row['evaluation']
  spread = found['style_spread']['relative']
  return '\n'.join([
    '## handwriting.safetensors',
    '',
    _trained(row),
    '',
    COMMAND.format('handwriting.py:small', 'first') + ' \\',
    f'      --config.data.letters="{FIRST_LETTERS}" \\',
    '      --config.data.variety.marked=0 --config.data.variety.numbers=0.05 --config.eval.reader_seed=1',
    '    jaxgen export runs/first',
    COMMAND.format('handwriting.py:small', 'writer') + ' \\',
    '      --config.init_from=runs/first.safetensors \\',
    f'      --config.num_steps={row["steps"]} {_stages(row["config"])} \\',
    '      --config.eval.reader_seed=1 \\',
    f'      --config.eval.truncation={row["config"]["eval.truncation"]} \\',
    f'      --config.eval.faces="{tuple(row["config"]["eval.faces"])}"',
    '',
    textwrap.fill(
      WRITER_START.format(
        first=WRITER_FIRST / 60,
        updates=row['begins_with'] + row['steps'],
        total=(WRITER_FIRST + row['seconds']) / 60,
      ),
      WIDTH,
    ),
    '',
    '| figure | |',
    '|---|---|',
    f'| CER of an independent recogniser on drawn words | {found["reader_cer"]:.4f} |',
    f'| on generated words seen in training | {found["generated_cer"]:.4f} |',
    f'| on generated words not seen in training | {found["generated_cer_unseen"]:.4f} |',
    f'| FID-R (untrained) | {found["fid_r"]:.3f} ({found["fid_r_untrained"]:.1f}) |',
    *(f'| spread of {name}, relative to drawn words | {_number(x, 2)} |' for name, x in spread.items()),
    '',
    *([textwrap.fill(_symbols(row['symbols']), WIDTH), ''] if 'symbols' in row else []),
    textwrap.fill(WRITER_LIMITS, WIDTH),
  ])  # fmt: skip


def _stages(config: dict[str, Any]) -> str:
  names = 'curriculum.read_steps', 'curriculum.paired_steps'
  return ' '.join(f'--config.{name}={config[name]}' for name in names)


def _symbols(found: dict[str, Any]) -> str:
  """Which symbols are less legible than drawn ones."""
  rates = found['misread']
  return (
    f'Each symbol was written in {found["texts"]} texts not seen in training. On average over symbols, the '
    f'recogniser misreads {rates["generated"]:.3f} of the generated and {rates["drawn"]:.3f} of the drawn '
    f'ones. Misread at a rate of {WEAK:.0%} or more, and at least twice that of drawn ones: '
    f'{" ".join(found["weak"]) or "none"}.'
  )


def _chance(found: dict[str, Any]) -> str:
  return ', '.join(f'{x:.3f}' for x in found.get('ece_by_chance', ())) or '-'


def _number(x: float | None, places: int = 4) -> str:
  return '-' if x is None else f'{x:.{places}f}'

"""The motion net that ships: what nets are judged by, and its card. Nothing is trained."""

import json
from pathlib import Path

from helpers import benchmark, override

from jaxgen import config as configs
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.exchange.weight_files import load_weights
from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER
from jaxgen.task import Trained

ROOT = Path(__file__).parents[2]


def test_all_nets_are_judged_by_the_same_recordings():
  gates, script = benchmark('lipgen_synthesis_gates'), benchmark('lipgen_motion_weights')
  heard = {}
  for kind, (file, more) in script.KINDS.items():
    pairs = dict(pair.removeprefix('--config.').split('=') for pair in more)
    config = override(
      configs.load(file.replace('.py', '')),
      {k.replace('.', '__'): int(x) for k, x in pairs.items()},
    )
    # As their facts have it: without drawn speakers a net of GRID knows no word that is recorded.
    facts = {'unseen_words': [] if kind == 'grid' else config.data.unseen_words.split(',')}
    found = gates.chosen(Trained(config, facts, {}, 0))
    heard[kind] = [(x.word, x.voice) for part in found.values() for x in part]
  assert heard['drawn'] == heard['grid'] == heard['mixed']
  assert len(set(heard['drawn'])) == 96


def test_the_card_says_what_each_net_was_judged_by():
  script = benchmark('lipgen_motion_weights')
  path = ROOT / 'benchmarks' / 'results' / 'lipgen_motion_weights_cpu.json'
  row = json.loads(path.read_text())['rows']['motion']
  assert script.CARD.read_text() == script.card(row)
  # The last lag that is looked for may not be the best.
  assert [script.late({'lag_frames': x}) for x in (-5, 4)] == ['-5 or beyond', '4']
  assert 'the third all but four of the twenty' in ' '.join(script.card(row).split())
  for found in row['true_sound'].values():
    found['recordings'] = 96
  assert '96 recordings of words or voices that no net' in ' '.join(script.card(row).split())


def test_a_result_of_talking_faces_names_its_nets():
  nets = [load_weights(WEIGHTS / f'{name}.safetensors') for name in (MOTION, RENDER)]
  told = benchmark('lipgen_talk').told(nets)
  assert [told[name]['updates'] for name in (MOTION, RENDER)] == [net.step for net in nets]
  other = nets[0]._replace(facts={**nets[0].facts, 'floor': 0.0})
  assert benchmark('lipgen_talk').told([other])[MOTION]['digest'] != told[MOTION]['digest']

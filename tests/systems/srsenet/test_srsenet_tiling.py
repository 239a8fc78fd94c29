"""Tiles give the whole image's result, in bounded memory, with one compilation."""

import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from srsenet_cases import applied, by_blocks, luminance, make_net

from jaxgen.errors import UserError
from jaxgen.systems.srsenet.canvas import buffer_length
from jaxgen.systems.srsenet.crew import Crew
from jaxgen.systems.srsenet.strips import make_strips
from jaxgen.systems.srsenet.tiles import Luminance, area, make_tiles, spread, square
from jaxgen.systems.srsenet.tiling import Sides, Upscaler

pytestmark = pytest.mark.usefixtures('quick_compilation')

SMALL = Sides(block=40, trunk=56, leave=48, samples=6)


def whole(net, variables, y):
  return np.asarray(applied(net, '__call__', variables['params'], y[None, ..., None]))[0, ..., 0]


@pytest.mark.parametrize('tiling', ['whole', 'exact'])
@pytest.mark.parametrize(
  'options',
  [
    {},
    {'scale': 3},
    {'scale': 8},
    {'share_weights': True},
    {'se_after_skip': True},
    {'activation_after_conv2': True, 'activation_after_input': True},
  ],
)
def test_exact_tiles_equal_the_whole_image(options, tiling, tmp_path):
  net, variables = make_net(**options)
  y = luminance((61, 47))
  sides = SMALL._replace(leave=24 * net.scale)
  upscaler = Upscaler(net, variables, sides=sides, folder=tmp_path)
  np.testing.assert_allclose(upscaler(y, tiling), whole(net, variables, y), atol=1e-5)
  assert not list(tmp_path.iterdir())


def test_gates_of_single_tiles_would_be_wrong():
  """The trap that exact tiling avoids: the test above can fail."""
  net, variables = make_net()
  y = luminance((61, 90))
  left = whole(net, variables, y[:, :63])
  assert np.abs(left[:, :80] - whole(net, variables, y)[:, :80]).max() > 1e-3


@pytest.mark.parametrize('shape', [(1, 1), (1, 70), (50, 2), (40, 40), (41, 40), (76, 72)])
def test_any_size_is_right_with_any_tiling(shape):
  net, variables = make_net()
  y = luminance(shape)
  upscaler = Upscaler(net, variables, sides=SMALL._replace(samples=1000))
  expected = whole(net, variables, y)
  np.testing.assert_allclose(upscaler(y, 'whole'), expected, atol=1e-5)
  # With every tile in the sample the gates are exact too.
  np.testing.assert_allclose(upscaler(y, 'sampled'), expected, atol=1e-5)


def test_deeper_nets_see_further():
  net, variables = make_net(num_blocks=12)
  assert net.receptive_radius == 26 and net.clone(num_blocks=8).receptive_radius == 18
  y = luminance((70, 61))
  upscaler = Upscaler(net, variables, sides=SMALL._replace(samples=1000))
  expected = by_blocks(net, variables, y, lambda i, block, *args: applied(block, '__call__', *args))
  np.testing.assert_allclose(upscaler(y, 'sampled'), expected, atol=1e-5)


def test_sampled_tiles_have_no_seams():
  """With the whole image's gates, sampled tiling is exact: tiles differ from it by their gates only."""
  net, variables = make_net()
  y = luminance((150, 170))
  upscaler = Upscaler(net, variables, sides=SMALL)
  read = Luminance(lambda a, b: y[a:b], *y.shape, np.float32, upscaler.border)
  gates = upscaler.sampled_gates(read)
  expected = with_gates(net, variables, y, gates)
  np.testing.assert_allclose(upscaler(y, 'sampled'), expected, atol=1e-5)
  difference = np.abs(expected - whole(net, variables, y)).max()
  assert 1e-6 < difference < 0.05


def with_gates(net, variables, y, gates):
  def gated(i, block, own, x):
    return applied(block, 'joined', own, x, applied(block, 'excited', own, x), gates[i][None])

  return by_blocks(net, variables, y, gated)


def test_nothing_is_compiled_again_for_another_size():
  traced = Counter()

  def counting(fn, **options):
    number = len(traced)
    traced[number] = 0

    def wrapped(*args):
      traced[number] += 1
      return fn(*args)

    return jax.jit(wrapped, **options)

  net, variables = make_net()
  upscaler = Upscaler(net, variables, sides=SMALL, compile=counting)
  for tiling in ('whole', 'sampled'):
    upscaler(luminance((61, 90)), tiling)
  first = dict(traced)
  assert max(first.values()) == 1
  for shape in ((3, 3), (100, 41), (57, 200)):
    for tiling in ('whole', 'exact', 'sampled'):
      upscaler(luminance(shape), tiling)
  assert traced == first


def test_only_the_list_of_buffers_is_compiled_for():
  traced = Counter()

  def counting(fn, **options):
    def wrapped(*args):
      traced[fn] += 1
      return fn(*args)

    return jax.jit(wrapped, **options)

  net, variables = make_net(num_blocks=1)
  upscaler = Upscaler(net, variables, sides=SMALL, compile=counting)
  # Whatever its shape, an image goes by its cells: these take the shortest buffer, strips among them.
  for shape in ((101, 103), (1, 600), (600, 1), (40, 263), (263, 40)):
    y = luminance(shape)
    np.testing.assert_allclose(upscaler(y, 'whole'), whole(net, variables, y), atol=1e-5)
  assert set(traced.values()) == {1}
  lengths = {buffer_length(n) for n in range(1, 2**17, 100)}
  assert len(lengths) == 15 and all(buffer_length(n) == n for n in lengths)


def test_strips_are_not_many_empty_squares():
  """Half of a strip's cells lie right of it, and hardly any in borders."""
  for grid, side, halo in (((1, 2500), 32, 1), ((2500, 1), 32, 1), ((5, 5000), 64, 5)):
    tiles = list(make_tiles(grid, False, side, halo))
    computed = sum(tile.layout.rows * tile.stride for tile in tiles)
    assert computed <= 2.3 * grid[0] * grid[1]
    assert sum(area(tile.inside) for tile in tiles) == grid[0] * grid[1]
    assert all(tile.layout.length(0) <= square(side) + 2 for tile in tiles)


@pytest.mark.parametrize(('shape', 'leave'), [((61, 47), 640), ((61, 47), 48), ((90, 3), 48)])
def test_strips_of_several_threads_equal_the_whole_image(shape, leave):
  net, variables = make_net()
  y = luminance(shape)
  sides = SMALL._replace(strip=16, leave=leave)
  upscaler = Upscaler(net, variables, sides=sides, threads=3)
  np.testing.assert_allclose(upscaler(y, 'whole'), whole(net, variables, y), atol=1e-5)


def test_strips_are_of_one_size_and_see_a_row_of_each_other():
  strips = make_strips((16, 9), spare=False, count=3, least=16)
  assert [tile.inside[0] for tile in strips] == [slice(0, 5), slice(5, 10), slice(10, 16)]
  assert [tile.seen[0] for tile in strips] == [slice(0, 6), slice(4, 11), slice(9, 16)]
  assert len(make_strips((16, 9), spare=True, count=9, least=16)) == 4
  assert len(make_strips((3, 9), spare=True, count=9, least=16)) == 1


@pytest.mark.parametrize('count', [1, 3])
def test_a_crew_keeps_the_order_and_tells_errors(count):
  crew = Crew(count)
  assert list(crew(lambda n: n * n, range(7))) == [n * n for n in range(7)]
  with pytest.raises(ZeroDivisionError):
    list(crew(lambda n: 1 // n, [2, 1, 0, 1]))


@pytest.mark.parametrize('most', [None, 1, 2, 9])
def test_a_crew_takes_no_more_items_than_memory_allows(most):
  taken, allowed = 0, min(most or 3, 3)

  def items():
    nonlocal taken
    while taken < 7:
      taken += 1
      yield taken

  for done, found in enumerate(Crew(3)(lambda n: n, items(), most), start=1):
    assert found == done and taken == min(done - 1 + allowed, 7)


def test_sampled_tiles_are_the_same_in_any_number_of_threads():
  net, variables = make_net()
  y = luminance((90, 75))
  one, three = (Upscaler(net, variables, sides=SMALL, threads=n)(y, 'sampled') for n in (1, 3))
  np.testing.assert_allclose(one, three, atol=1e-6)


@pytest.mark.parametrize('tiling', ['whole', 'exact', 'sampled'])
@pytest.mark.parametrize('shape', [(61, 47), (3, 30)])
def test_a_border_continues_the_image_and_leaves_its_means(tiling, shape):
  net, variables = make_net()
  y, border = luminance(shape), 6
  padded = np.pad(y, border, mode='symmetric')
  inside = slice(border, border + shape[0]), slice(border, border + shape[1])

  def by_inner_means(i, block, own, x):
    excited = applied(block, 'excited', own, x)
    gates = applied(block, 'gate', own, np.asarray(excited)[:, *inside].mean((1, 2)))
    return applied(block, 'joined', own, x, excited, gates)

  expected = by_blocks(net, variables, padded, by_inner_means)
  upscaler = Upscaler(net, variables, sides=SMALL._replace(samples=1000), border=border)
  s = net.scale
  expected = expected[tuple(slice(part.start * s, part.stop * s) for part in inside)]
  np.testing.assert_allclose(upscaler(y, tiling), expected, atol=1e-5)


def test_auto_goes_by_the_memory_of_the_features():
  net, variables = make_net()
  upscaler = Upscaler(net, variables, memory_mb=1)
  fits = 2**20 // (2 * 4 * 4)
  assert upscaler.chosen(1, fits) == 'whole'
  assert upscaler.chosen(1, fits + 1) == 'sampled'
  assert upscaler.chosen(1, fits + 1, 'exact') == 'exact'
  memory, disk = upscaler.needs(1000, 1000, 'whole')
  assert memory > upscaler.feature_bytes(1000, 1000) and disk == 0
  memory, disk = upscaler.needs(1000, 1000, 'exact')
  assert memory < upscaler.feature_bytes(1000, 1000) == disk


def test_a_temporary_folder_without_room_is_told(monkeypatch, tmp_path):
  net, variables = make_net()
  upscaler = Upscaler(net, variables, folder=tmp_path)
  usage = shutil.disk_usage(tmp_path)
  monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage._replace(free=1000))
  with pytest.raises(UserError, match=r'exact tiling of 300 x 200 pixels needs .* set TMPDIR'):
    upscaler(luminance((200, 300)), 'exact')


def test_rows_are_read_as_they_are_needed():
  net, variables = make_net()
  y, spans = luminance((400, 60)), []

  def read(first, end):
    spans.append(end - first)
    return y[first:end]

  upscaler = Upscaler(net, variables, sides=SMALL)
  bands = list(upscaler.bands(read, *y.shape, 'sampled'))
  assert max(spans) <= SMALL.trunk
  assert [top for top, _ in bands] == list(np.cumsum([0, *(len(b) for _, b in bands[:-1])]))
  assert sum(len(b) for _, b in bands) == 800


def test_samples_are_spread_over_all_items():
  items = list(range(1000))
  chosen = spread(items, 32)
  assert len(set(chosen)) == 32 and chosen == sorted(chosen)
  assert max(np.diff([0, *chosen, 1000])) < 3 * 1000 / 32
  assert spread(items[:5], 32) == items[:5]

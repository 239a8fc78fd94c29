"""The net that comes with jaxgen, by the functions for people."""

import numpy as np
import pytest
from PIL import Image
from tab_cases import jobs_of

import jaxgen
from jaxgen.demo.tab import SHIPPED
from jaxgen.errors import UserError
from jaxgen.systems.mmgan import tabs


def test_the_net_that_comes_with_jaxgen_knows_what_its_components_make():
  for component, owners in ((1, {'set1'}), (2, {'set2'}), (3, {'set1', 'set2'})):
    drawn = jaxgen.samples(component=component, count=8)
    assert set(drawn.components) == {component}
    found = [jaxgen.memberships(image) for image in drawn.images]
    assert sum(x.components[component] > 0.5 for x in found) >= 7
    surest = max(found, key=lambda x: x.components[component])
    assert {name for name, share in surest.sets.items() if share > 0.3} == owners


def test_the_tab_says_what_the_functions_say(tmp_path):
  (tab,) = tabs.TABS
  jobs = jobs_of(tab, tmp_path)
  path = next(tmp_path.glob('digit_*.png'))
  components, sets = jobs['memberships'](str(path), False, SHIPPED)
  found = jaxgen.memberships(path)
  assert list(components.values()) == list(found.components.values()) and sets == found.sets
  sheet = np.asarray(Image.open(jobs['samples']('collection', 'set2', 5, 3, SHIPPED)))
  drawn = jaxgen.samples('set2', count=5, seed=3).images
  times = len(sheet) // 60
  assert np.array_equal(sheet[::times, ::times][30:58, 30:58], drawn[4])
  for wrong, told in (('4', 'there is no component 4'), ('one', 'one is not a component number')):
    with pytest.raises(UserError, match=told):
      jobs['samples']('component', wrong, 5, 0, SHIPPED)

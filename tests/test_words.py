"""Words of messages that depend on a number."""

from jaxgen.words import named


def test_a_few_of_many_are_named():
  assert named([]) == '' and named(['a']) == 'a' and named('abcde') == 'a, b, c, d, e'
  assert named('abcdefgh') == 'a, b, c, d, e and 3 more'
  assert named(range(2_000), 2, '; ') == '0; 1 and 1,998 more'
  assert named({'a': 1, 'b': 2}, most=1) == 'a and 1 more'

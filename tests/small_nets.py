"""Widths of lipgen's nets that compile fast, for its own tests and for those of compiled programs."""

READER = {
  'data__framing': (0, 0, 96, 18),
  'data__crop': 16,
  'model__front_end__stem': 4,
  'model__front_end__widths': (4, 4, 8),
  'model__front_end__pool_features': 8,
  'model__back_end__growth': 6,
  'model__back_end__width': 8,
  'model__back_end__dilations': (2,),
  'model__viseme_back_end__kernels': (3,),
  'model__viseme_back_end__growth': 3,
  'model__viseme_back_end__width': 4,
  'model__viseme_back_end__dilations': (1,),
}
MOTION = {
  'data__num_frames': 24,
  'model__width': 8,
  'model__heads': 2,
  'model__hidden': 8,
  'model__layers': 1,
}

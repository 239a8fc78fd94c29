"""The systems: name -> module with `make_data`, `make_model`, `make_task`; imported on use."""

SYSTEMS = {
  'comvae': 'jaxgen.systems.comvae',
  'mmgan': 'jaxgen.systems.mmgan',
  'mmgan_classifier': 'jaxgen.systems.mmgan.classifier',
}

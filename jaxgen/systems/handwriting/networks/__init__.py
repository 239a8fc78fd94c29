"""The networks: text encoder, generators, discriminator and recognisers."""

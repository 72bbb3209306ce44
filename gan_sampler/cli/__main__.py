"""``python -m gan_sampler.cli`` is ``gan-sampler``."""

from gan_sampler.cli import main

if __name__ == "__main__":  # workers import this module
    main()

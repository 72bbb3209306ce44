"""Bars that show how far a fit is."""

from tqdm.auto import tqdm


class TrainingBar:
    """A bar of training steps, whose time left knows of `max_time`.

    Parameters
    ----------
    title : str
        What is trained.
    n_steps : int
        Number of steps.
    max_time : float or None
        Seconds after which training ends even if steps are left.
    verbose : int
        Whether to show it.
    first_step : int, default=0
        Steps made in an earlier fit.
    """

    def __init__(self, title, *, n_steps, max_time, verbose, first_step=0):
        self._n_steps, self._max_time = n_steps, max_time
        self._bar = tqdm(desc=title, total=n_steps, initial=first_step, unit="step", disable=not verbose)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._bar.close()

    def say(self, message):
        """Print a line above the bar, where there is one."""
        if not self._bar.disable:
            self._bar.write(message, file=self._bar.fp)

    def report(self, record):
        """Show a record of the history."""
        if self._bar.disable:
            return
        step, seconds = record["step"], record["seconds"]
        if self._max_time is not None and seconds > 0:  # as many steps as there will be time for
            self._bar.total = max(step, min(self._n_steps, round(step * self._max_time / seconds)))
        numbers = {name: f"{record[name]:.3f}" for name in record if name not in ("step", "seconds")}
        self._bar.set_postfix(numbers, refresh=False)
        self._bar.update(step - self._bar.n)


def counted(batches, title, n_images, verbose):
    """Yield batches of images unchanged, and show how many of `n_images` there were."""
    with tqdm(desc=title, total=n_images, unit="image", disable=not verbose) as bar:
        for batch in batches:
            bar.update(len(batch))  # before the last one is taken, after which nobody may ask for more
            yield batch

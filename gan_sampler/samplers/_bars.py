"""Progress bars of a fit."""

from tqdm.auto import tqdm


class TrainingBar:
    """A progress bar of training steps, whose remaining time takes `max_time` into account.

    Parameters
    ----------
    title : str
        Text before the bar.
    n_steps : int
        Number of steps.
    max_time : float or None
        Time limit of training, in seconds.
    verbose : int
        Whether to show the bar.
    first_step : int, default=0
        Number of steps of an earlier fit that is continued.
    """

    def __init__(self, title, *, n_steps, max_time, verbose, first_step=0):
        self._n_steps, self._max_time = n_steps, max_time
        self._bar = tqdm(desc=title, total=n_steps, initial=first_step, unit="step", disable=not verbose)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._bar.close()

    def say(self, message):
        """Print a line above the bar, if it is shown."""
        if not self._bar.disable:
            self._bar.write(message, file=self._bar.fp)

    def report(self, record):
        """Show a record of the history."""
        if self._bar.disable:
            return
        step, seconds = record["step"], record["seconds"]
        if self._max_time is not None and seconds > 0:  # number of steps expected within the time limit
            self._bar.total = max(step, min(self._n_steps, round(step * self._max_time / seconds)))
        numbers = {name: f"{record[name]:.3f}" for name in record if name not in ("step", "seconds")}
        self._bar.set_postfix(numbers, refresh=False)
        self._bar.update(step - self._bar.n)


def counted(batches, title, n_images, verbose):
    """Yield batches of images unchanged, and show their number in a progress bar."""
    with tqdm(desc=title, total=n_images, unit="image", disable=not verbose) as bar:
        for batch in batches:
            bar.update(len(batch))  # before the yield, because the last batch may not be followed by another request
            yield batch

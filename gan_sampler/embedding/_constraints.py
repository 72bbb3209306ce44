"""A constraint of parameters that hold transformers or caches."""

from sklearn.utils._param_validation import HasMethods


class HasMethodsOfInstance(HasMethods):
    """Constraint of a parameter: an instance with certain methods, not a class with these methods.

    Parameters
    ----------
    methods : str or list of str
        Names of the methods.
    """

    def is_satisfied_by(self, val):
        """Return whether `val` is such an instance."""
        return not isinstance(val, type) and super().is_satisfied_by(val)

    def __str__(self):
        return f"{super().__str__()} (an instance, made with parentheses, not its class)"

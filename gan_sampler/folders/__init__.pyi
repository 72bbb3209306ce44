from ._balance import Balancing

__all__ = ["Balancing"]

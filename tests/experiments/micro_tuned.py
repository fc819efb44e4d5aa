"""The micro sweep of two methods, each tried twice on validation people first."""

from tests.experiments import micro

RATES = {"ga": (1e-3, 3e-2), "npo": (2e-3, 4e-2)}


def get_config():
    config = micro.get_config()
    config.base.epochs = 1
    return config


def trials(config):
    """Two rates of each method."""
    for name, rates in RATES.items():
        for rate in rates:
            yield {"objective.name": name, f"methods.{name}.learning_rate": rate}


def sweep(config):
    """The two methods; what they start from is trained, and not compared."""
    for name in RATES:
        yield {"objective.name": name}

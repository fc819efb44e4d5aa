"""How XLA compiles in tests: fast, for programs that run for milliseconds."""

import importlib.metadata

LEVEL = "--xla_backend_optimization_level"
QUICK = (f"{LEVEL}=0", "--xla_llvm_disable_expensive_passes=true")
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later versions refuse the flag
    QUICK += ("--xla_cpu_use_fusion_emitters=false",)
DEVICES = "--xla_force_host_platform_device_count"


def xla_flags(given: str = "", *, devices: int = 1) -> str:
    """Return a value of XLA_FLAGS with so many CPU devices.

    Flags that are given stay; with a level of optimisation among them, XLA compiles as for users.
    """
    quick = () if LEVEL in given else QUICK
    count = () if DEVICES in given else (f"{DEVICES}={devices}",)
    return " ".join([*given.split(), *quick, *count])

"""Install mllm_commands.pth, which Python runs at its start; the rest is in pyproject.toml."""

import sysconfig
from pathlib import Path

from setuptools import Distribution, setup


class WithData(Distribution):
    """A distribution whose data files are installed by ``pip install -e`` too."""

    def has_data(self) -> bool:
        """Return whether setuptools, which asks for this method, is to install data files."""
        return self.has_data_files()


packages = Path(sysconfig.get_path("purelib")).relative_to(sysconfig.get_path("data"))
setup(distclass=WithData, data_files=[(str(packages), ["mllm_commands.pth"])])

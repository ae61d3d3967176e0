"""Split images of vehicles into clusters, interpret them, find outliers, and export the best partition.

`import veriwild_clustering as vc` costs almost nothing: each name loads its module when it is first used.
The list of public names is the stub beside this file.
"""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

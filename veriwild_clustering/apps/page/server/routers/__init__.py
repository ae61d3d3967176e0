"""The routes under /api, a module per group of subjects; a further group is a module with a `router`, named here."""

from __future__ import annotations

from veriwild_clustering.apps.page.server.routers import criteria, data, files, painting, partitions, searching

__all__ = ["ROUTERS"]

ROUTERS = (data.router, partitions.router, searching.router, criteria.router, painting.router, files.router)

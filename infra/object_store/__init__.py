"""An object store on this machine, with an S3 interface that checks signatures: OpenStack Swift, for tests and a demonstration.

    python -m infra.object_store FOLDER

`open_object_store` serves a folder on a free port of the loopback interface and needs nothing but pip. Not for production:
one copy, one disk, one process.
"""

from infra.object_store.environment import EnvironmentUnavailableError, ensure_environment
from infra.object_store.store import ObjectStore, ObjectStoreError, open_object_store

__all__ = ["EnvironmentUnavailableError", "ObjectStore", "ObjectStoreError", "ensure_environment", "open_object_store"]

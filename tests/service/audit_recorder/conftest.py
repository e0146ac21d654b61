from tests.support.migrated import migrated

__all__ = ["migrated"]

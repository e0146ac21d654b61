from tests.support.paper_exchange import paper_exchange

__all__ = ["paper_exchange"]

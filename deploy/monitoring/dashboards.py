"""All dashboards, as Grafana finds them."""

from typing import Final

from deploy.monitoring.dashboard import Dashboard
from deploy.monitoring.dashboards_alerts import ALERTING
from deploy.monitoring.dashboards_money_path import MONEY_PATH
from deploy.monitoring.dashboards_overview import OVERVIEW
from deploy.monitoring.dashboards_pipeline import PIPELINE
from deploy.monitoring.dashboards_services import SERVICES
from deploy.monitoring.dashboards_stores import STORES

DASHBOARDS: Final[tuple[Dashboard, ...]] = (OVERVIEW, PIPELINE, SERVICES, MONEY_PATH, STORES, ALERTING)

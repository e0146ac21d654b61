"""What Prometheus, Alertmanager and Grafana show and tell, written once in code and generated from it.

Invariant: a threshold stands in one place; alerts, their tests and the dashboards' colours take it from there.
"""

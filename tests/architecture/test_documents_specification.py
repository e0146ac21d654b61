"""The table from the specification to the project: complete, and every place and test in it exists."""

import ast
import re
from functools import cache
from pathlib import Path

from libs.common.contracts.vocabulary import AlertType, StopTrigger
from tests.support.documents import ROOT, inline_code, rows

TABLE = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
PLACE = re.compile(r"^((?!tests/)[\w./-]+\.(?:py|json|md))(?::([\w.]+))?$")
TEST = re.compile(r"^(tests/[\w/]+/test_\w+\.py)::(test_\w+|Test\w+::test_\w+)$")
NOT_BUILT = re.compile(r"not built, (issue \d+|no issue yet)")
MIGRATION = ROOT / "deploy" / "postgres" / "migrations" / "versions" / "0006_audit_recorder.py"
COLUMNS = {
    "auto_trading_config": "id user_id is_enabled trading_mode max_daily_loss_pct max_positions trading_interval "
    "symbols created_at updated_at",
    "auto_trading_logs": "id user_id timestamp log_level component message data",
    "ai_signals_log": "id user_id symbol signal_type confidence_score entry_price stop_loss take_profit executed "
    "execution_price created_at executed_at",
}
ELEMENTS = (
    *(trigger.value for trigger in StopTrigger),
    *(alert_type.value for alert_type in AlertType),
    *("check_daily_loss_limit", "check_position_limits", "check_api_connectivity", "check_market_volatility"),
    *("check_account_balance", "control panel", "active signals", "today's trades", "today's PnL", "system uptime"),
    *("performance chart", "recent trades log", "log viewer", "performance tracker", "Market Monitor", "data cache"),
    *("AI Signal Generator", "signal cache", "signal history", "Trade Executor", "Position Manager", "Risk Manager"),
    *("Config Manager", "trading loop", "Database", "exchange (Binance)", "stop all trading", "liquidate positions"),
    *("send alert", "write log", "performance data", "system status", "trading_mode"),
    *("channel dashboard", "channel email", "channel discord", "channel telegram"),
    *("auto_trading_config.json", "risk_config.json", "notification_config.json"),
    *("engine.trading_interval", "engine.max_concurrent_positions", "engine.enable_paper_trading"),
    *("risk_management.daily_loss_limit_pct", "risk_management.position_size_pct", "risk_management.stop_loss_pct"),
    *("risk_management.take_profit_pct", "`symbols`", "notifications.enabled", "notifications.channels"),
    *("notifications.trade_notifications", "notifications.error_notifications"),
    *("performance analysis", "backtesting", "paper trading"),
)


@cache
def symbols_of(path: Path) -> frozenset[str]:
    """Return the names that a module defines, and those of its classes after a dot."""
    return frozenset(_defined(ast.parse(path.read_text(encoding="utf-8")).body))


def _defined(body: list[ast.stmt], prefix: str = "") -> list[str]:
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                names += _defined(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign):
            names += [prefix + target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(prefix + node.target.id)
    return names


def places(cell: str, form: re.Pattern[str] = PLACE) -> list[re.Match[str]]:
    return [found for code in inline_code(cell) if "/" in code and (found := form.match(code))]


def test_every_element_of_the_specification_stands_in_the_table():
    elements = [row[0] for row in rows(TABLE)]

    assert [element for element in ELEMENTS if not any(element in cell for cell in elements)] == []


def elements() -> list[list[str]]:
    return [cells for cells in rows(TABLE) if cells[0] != "element"]


def test_every_element_has_a_place_and_a_test_or_says_that_it_is_not_built():
    for cells in elements():
        assert len(cells) == 3, cells[0]
        assert places(cells[1]) or NOT_BUILT.match(cells[1]), cells[0]
        assert places(cells[2], TEST) or NOT_BUILT.match(cells[1]), cells[0]


def test_what_is_not_built_is_said_in_one_form():
    assert "planned" not in TABLE
    assert TABLE.count("not built,") == len(NOT_BUILT.findall(TABLE))


def test_every_place_and_every_test_exists():
    missing = []
    for place, code, tests in elements():
        for found in (*places(code), *places(tests, TEST)):
            path, symbol = ROOT / found[1], (found[2] or "").replace("::", ".")
            if not path.exists() or (symbol and symbol not in symbols_of(path)):
                missing.append((place, found[0]))

    assert missing == []


def test_nothing_else_stands_in_place_of_a_test():
    strange = [(cells[0], code) for cells in elements() for code in inline_code(cells[2]) if TEST.match(code) is None]

    assert strange == []


def test_the_specifications_columns_are_in_its_tables():
    migration = MIGRATION.read_text(encoding="utf-8")

    for table, columns in COLUMNS.items():
        found = re.search(rf"CREATE TABLE audit_recorder\.{table} \((.*?)\n\)", migration, re.DOTALL)
        assert found is not None, table
        defined = {line.split()[0].strip('"') for line in found[1].splitlines() if line.strip()}
        assert set(columns.split()) <= defined, table

"""scripts/deploy/datadog_access.sql on a real PostgreSQL: the agent sees plans and statistics, and no row."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from cleartill.embedded.postgres import PACKAGE, EmbeddedPostgres

pytestmark = pytest.mark.drill

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "scripts" / "deploy" / "datadog_access.sql"


def test_the_agent_sees_how_it_does_and_no_row(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    text = SQL.read_text()
    extension = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;\n"
    assert extension in text
    (tmp_path / "access.sql").write_text(text.replace(extension, ""))  # the wheel has no extensions
    package = find_spec(PACKAGE)
    assert package
    psql = Path(str(package.origin)).parent / "pginstall" / "bin" / "psql"
    admin = urlsplit(postgres.admin_url)
    here = f"{postgres.admin_url.rpartition('/')[0]}/cleartill"
    command = [psql, here, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", tmp_path / "access.sql"]
    for password in ("first", 'it\'s "second"'):
        told = {**os.environ, "DD_POSTGRES_PASSWORD": password}
        ended = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    place = {"host": "127.0.0.1", "port": admin.port, "dbname": "cleartill", "user": "datadog"}
    connection = psycopg2.connect(**place, password=password)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT datadog.explain_statement('SELECT * FROM merchants')")
        ((plan,),) = cursor.fetchall()
        assert plan[0]["Plan"]["Node Type"]
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query IS NOT NULL")
        for forbidden in ("SELECT * FROM merchants", "SELECT * FROM api_keys", "DELETE FROM merchants"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT datadog.explain_statement('DELETE FROM merchants; DELETE FROM merchants')")
    finally:
        connection.close()

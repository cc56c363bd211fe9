-- What the Datadog agent needs for Database Monitoring: a user that sees statistics and plans, and no row of any table.
-- Safe to repeat. Run by docker-compose.yml; elsewhere: DD_POSTGRES_PASSWORD=… psql --file scripts/deploy/datadog_access.sql
\getenv password DD_POSTGRES_PASSWORD
SELECT 'CREATE ROLE datadog LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'datadog') \gexec
ALTER ROLE datadog PASSWORD :'password';
ALTER ROLE datadog CONNECTION LIMIT 10;
GRANT pg_monitor TO datadog;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE SCHEMA IF NOT EXISTS datadog;
GRANT USAGE ON SCHEMA datadog TO datadog;
GRANT USAGE ON SCHEMA public TO datadog;
-- A plan is made with the rights of who made this function, and is only shown: EXPLAIN executes nothing.
CREATE OR REPLACE FUNCTION datadog.explain_statement(l_query text, OUT explain json) RETURNS SETOF json
    LANGUAGE plpgsql RETURNS NULL ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    curs refcursor;
    plan json;
BEGIN
    SET TRANSACTION READ ONLY;
    OPEN curs FOR EXECUTE pg_catalog.concat('EXPLAIN (FORMAT JSON) ', l_query);
    FETCH curs INTO plan;
    CLOSE curs;
    RETURN QUERY SELECT plan;
END;
$$;
REVOKE ALL ON FUNCTION datadog.explain_statement(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION datadog.explain_statement(text) TO datadog;

//! Remote SQL reads the mounted stores, and nothing else: attempts to get out, or to bring the server down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo};
use atlas_flight::bulk::request::StackedRequest;
use flight_fixture::{Fixture, fetch};
use prost::Message;
use tonic::{Code, Status};

/// A way for a client to hand SQL to the server.
#[derive(Debug, Clone, Copy)]
enum Way {
    Statement,
    Prepared,
    Where,
}

const WAYS: [Way; 3] = [Way::Statement, Way::Prepared, Way::Where];

async fn attempt(fixture: &Fixture, way: Way, sql: &str) -> Result<usize, Status> {
    let mut flight = fixture.flight().await;
    let command = match way {
        Way::Statement => CommandStatementQuery { query: sql.into(), transaction_id: None }.as_any().encode_to_vec(),
        Way::Prepared => {
            let mut client = FlightSqlServiceClient::new(fixture.channel().await);
            let mut statement = client.prepare(sql.into(), None).await.map_err(status_of)?;
            let info: FlightInfo = statement.execute().await.map_err(status_of)?;
            let (_, batches) = fetch(&mut flight, info.endpoint[0].ticket.clone().unwrap()).await?;
            return Ok(batches.iter().map(|batch| batch.num_rows()).sum());
        }
        Way::Where => StackedRequest {
            store: "fleet".into(),
            arrays: vec!["count".into()],
            where_: Some(sql.into()),
            ..StackedRequest::default()
        }
        .to_command(),
    };
    let info = flight.get_flight_info(FlightDescriptor::new_cmd(command)).await?.into_inner();
    let (_, batches) = fetch(&mut flight, info.endpoint[0].ticket.clone().unwrap()).await?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

fn status_of(error: arrow_flight::error::FlightError) -> Status {
    match error {
        arrow_flight::error::FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    }
}

async fn is_up(fixture: &Fixture) {
    assert_eq!(attempt(fixture, Way::Statement, "SELECT dataset FROM datasets").await.unwrap(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_stores_is_read_or_changed() {
    let fixture = Fixture::start().await;
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("table.csv");
    std::fs::write(&csv, "a,b\n1,2\n").unwrap();
    let (csv, out) = (csv.display().to_string(), directory.path().join("stolen").display().to_string());
    let statements = [
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{csv}'"),
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'http://127.0.0.1:1/x.parquet'".into(),
        format!("CREATE UNBOUNDED EXTERNAL TABLE t (a INT) STORED AS CSV LOCATION '{csv}'"),
        format!("COPY datasets TO '{out}.csv'"),
        format!("COPY (SELECT 1) TO '{out}.parquet' STORED AS PARQUET"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}.json'"),
        format!("EXPLAIN COPY (SELECT 1) TO '{out}.json'"),
        "CREATE TABLE t AS SELECT 1".into(),
        "CREATE OR REPLACE VIEW datasets AS SELECT 1".into(),
        "CREATE SCHEMA s".into(),
        "CREATE DATABASE d".into(),
        "CREATE FUNCTION f(DOUBLE) RETURNS DOUBLE RETURN $1 + 1".into(),
        "DROP SCHEMA fleet CASCADE".into(),
        "DROP TABLE datasets".into(),
        "DROP FUNCTION slice".into(),
        "INSERT INTO datasets VALUES (1)".into(),
        "INSERT OVERWRITE datasets SELECT * FROM datasets".into(),
        "UPDATE datasets SET month = 1".into(),
        "DELETE FROM datasets".into(),
        "TRUNCATE TABLE datasets".into(),
        "ALTER TABLE datasets ADD COLUMN x INT".into(),
        "SET datafusion.execution.batch_size = 1".into(),
        "SET datafusion.runtime.memory_limit = '100G'".into(),
        "SET datafusion.sql_parser.recursion_limit = 1000000".into(),
        "SET datafusion.catalog.location = '/etc'".into(),
        "SET atlas.out_of_bounds = 'null'".into(),
        "SET TIME ZONE = '+01:00'".into(),
        "RESET datafusion.execution.batch_size".into(),
        "RESET ALL".into(),
        "PREPARE p AS SELECT 1".into(),
        "EXECUTE p".into(),
        "DEALLOCATE p".into(),
        "BEGIN".into(),
        "COMMIT".into(),
        "START TRANSACTION".into(),
        "USE secret".into(),
        "GRANT ALL ON datasets TO bob".into(),
        "CALL f()".into(),
        "ANALYZE TABLE datasets".into(),
        "LOAD DATA INPATH '/etc/passwd' INTO TABLE t".into(),
        "SELECT 1; SELECT 2".into(),
        "SELECT 1; DROP TABLE datasets".into(),
        format!("SELECT 1 INTO OUTFILE '{out}'"),
        "SELECT * INTO t FROM datasets".into(),
        "WITH x AS (DELETE FROM datasets RETURNING *) SELECT * FROM x".into(),
        "WITH x AS (INSERT INTO datasets VALUES (1)) SELECT * FROM x".into(),
        "SELECT * FROM (INSERT INTO datasets VALUES (1))".into(),
        "EXPLAIN INSERT INTO datasets VALUES (1)".into(),
        "EXPLAIN EXPLAIN ANALYZE DROP TABLE datasets".into(),
        "EXPLAIN SET datafusion.execution.batch_size = 1".into(),
    ];
    let reads = [
        "SELECT * FROM '/etc/passwd'".to_string(),
        format!("SELECT * FROM '{csv}'"),
        format!("SELECT * FROM \"{csv}\""),
        format!("SELECT * FROM 'file://{csv}'"),
        "SELECT * FROM 'http://127.0.0.1:1/x.csv'".into(),
        "SELECT * FROM 's3://bucket/x.parquet'".into(),
        format!("SELECT * FROM read_csv('{csv}')"),
        format!("SELECT * FROM csv('{csv}')"),
        "SELECT * FROM read_parquet('/x.parquet')".into(),
        "SELECT * FROM parquet_metadata('/x.parquet')".into(),
        "SELECT * FROM parquet_scan('/x')".into(),
        "SELECT * FROM arrow('/x')".into(),
        "SELECT * FROM glob('/*')".into(),
        "SELECT read_file('/etc/passwd')".into(),
        "SELECT load_extension('/x.so')".into(),
        "SELECT getenv('PATH')".into(),
        "SELECT * FROM pg_catalog.pg_tables".into(),
        "SELECT * FROM datafusion.public.t".into(),
        format!("TABLE '{csv}'"),
        format!("DESCRIBE '{csv}'"),
        "SHOW CREATE TABLE t".into(),
    ];
    for sql in statements.iter().chain(&reads) {
        for way in WAYS {
            let status = attempt(&fixture, way, sql).await.expect_err(sql);
            let codes = [Code::PermissionDenied, Code::InvalidArgument, Code::NotFound, Code::Unimplemented];
            assert!(codes.contains(&status.code()), "{way:?} {sql}: {status:?}");
            assert!(!status.message().contains('\n') && status.message().len() < 4096, "{way:?} {sql}: {status:?}");
        }
    }
    for predicate in
        ["true; DROP TABLE x", "dataset IN (SELECT dataset FROM datasets)", "true) OR (true", "true -- x\n; y"]
    {
        let status = attempt(&fixture, Way::Where, predicate).await.expect_err(predicate);
        assert_eq!(status.code(), Code::InvalidArgument, "{predicate}: {status:?}");
    }
    is_up(&fixture).await;
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["table.csv"], "nothing was written");
    let batch_size = "SELECT * FROM information_schema.df_settings WHERE name LIKE '%batch_size' AND value = '8192'";
    assert_eq!(attempt(&fixture, Way::Statement, batch_size).await.unwrap(), 1);
    let schemas = "SELECT * FROM information_schema.schemata WHERE schema_name NOT IN ('fleet', 'information_schema')";
    assert_eq!(attempt(&fixture, Way::Statement, schemas).await.unwrap(), 0);
}

/// Text that nests deeply, as a predicate: in brackets, and where no bracket counts.
fn deep(levels: usize) -> Vec<(&'static str, String)> {
    let around = |open: &str, inner: &str, close: &str| open.repeat(levels) + inner + &close.repeat(levels);
    vec![
        ("parentheses", around("(", "true", ")")),
        ("not", around("NOT ", "true", "")),
        ("minus", around("- ", "1", "") + " = 1"),
        ("plus", "1".to_string() + &" + 1".repeat(levels) + " = 1"),
        ("concat", "'a'".to_string() + &" || 'a'".repeat(levels) + " = 'a'"),
        ("and", "true".to_string() + &" AND true".repeat(levels)),
        ("or of columns", "month = 1".to_string() + &" OR month = 1".repeat(levels)),
        ("is", "true".to_string() + &" IS NULL".repeat(levels)),
        ("cast", around("CAST(", "1", " AS INT)") + " = 1"),
        ("double colon", "1".to_string() + &"::INT".repeat(levels) + " = 1"),
        ("case", around("CASE WHEN true THEN ", "true", " END")),
        ("case when", format!("CASE {} ELSE true END", "WHEN true THEN true ".repeat(levels))),
        ("functions", around("abs(", "1", ")") + " = 1"),
        ("arrays", around("[", "1", "]") + " = 1"),
        ("array types", "1::".to_string() + &around("ARRAY<", "INT", ">") + " = 1"),
        ("struct types", "1::".to_string() + &around("STRUCT<a ", "INT", ">") + " = 1"),
        ("list types", "1::INT".to_string() + &"[]".repeat(levels) + " = 1"),
        ("structs", around("{a: ", "1", "}") + " = 1"),
        ("subscripts", "month".to_string() + &"[1]".repeat(levels) + " = 1"),
        ("fields", "month".to_string() + &".a".repeat(levels) + " = 1"),
        ("between", around("1 BETWEEN ", "1", " AND 1")),
        ("interval", around("INTERVAL ", "'1 day'", "") + " = INTERVAL '1 day'"),
        ("arrows", "month".to_string() + &" -> 'a'".repeat(levels) + " = 1"),
        ("at time zone", "now()".to_string() + &" AT TIME ZONE 'UTC'".repeat(levels) + " = now()"),
        ("comments", around("/*", "", "*/") + " true"),
        ("open comments", "/*".repeat(levels) + " true"),
        ("open parentheses", "(".repeat(levels)),
        ("open brackets", "[".repeat(levels)),
        ("open braces", "{".repeat(levels)),
        ("lambda", around("x -> ", "1", "") + " = 1"),
        ("tuple", around("(1, ", "1", ")") + " = 1"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_an_error_and_not_the_end() {
    let fixture = Fixture::start().await;
    let levels = 10_000;
    let around = |open: &str, inner: &str, close: &str| open.repeat(levels) + inner + &close.repeat(levels);
    let queries = [
        ("unions", "SELECT 1".to_string() + &" UNION ALL SELECT 1".repeat(levels)),
        ("excepts", "SELECT 1".to_string() + &" EXCEPT SELECT 1".repeat(levels)),
        ("subqueries", around("SELECT * FROM (", "SELECT 1", ")")),
        ("scalar subqueries", around("SELECT (", "SELECT 1", ")")),
        ("ctes", around("WITH a AS (", "SELECT 1", ") SELECT * FROM a")),
        (
            "many ctes",
            "WITH ".to_string()
                + "c0 AS (SELECT 1), "
                + &(1..levels).map(|n| format!("c{n} AS (SELECT * FROM c{})", n - 1)).collect::<Vec<_>>().join(", ")
                + " SELECT * FROM c9999",
        ),
        ("joins", "SELECT 1 FROM datasets".to_string() + &" CROSS JOIN datasets".repeat(levels)),
        (
            "comma joins",
            "SELECT 1 FROM datasets".to_string() + &(0..levels).map(|n| format!(", datasets d{n}")).collect::<String>(),
        ),
        ("parenthesised joins", format!("SELECT 1 FROM {}", around("(", "datasets", ")"))),
        ("explains", "EXPLAIN ".repeat(levels) + "SELECT 1"),
        ("explain analyzes", "EXPLAIN ANALYZE VERBOSE ".repeat(levels) + "SELECT 1"),
        ("prepares", "PREPARE p AS ".repeat(levels) + "SELECT 1"),
        ("copies", around("COPY (", "SELECT 1", ") TO 'x'")),
        ("parenthesised queries", around("(", "SELECT 1", ")")),
        ("exists", around("SELECT 1 WHERE EXISTS (", "SELECT 1", ")")),
        ("intersect parentheses", around("(SELECT 1) INTERSECT (", "SELECT 1", ")")),
        ("lateral", around("SELECT * FROM LATERAL (", "SELECT 1", ")")),
        ("unnest", "SELECT ".to_string() + &around("unnest(", "[1]", ")")),
        ("pivot", "SELECT * FROM datasets".to_string() + &" PIVOT (sum(a) FOR b IN (1))".repeat(levels)),
        ("from first", "FROM ".repeat(levels) + "datasets"),
        ("values", around("VALUES (", "1", ")")),
    ];
    for (name, predicate) in deep(levels) {
        for way in WAYS {
            let sql = match way {
                Way::Where => predicate.clone(),
                _ => format!("SELECT dataset FROM datasets WHERE {predicate}"),
            };
            refused(&fixture, way, name, &sql).await;
        }
    }
    for (name, sql) in &queries {
        for way in [Way::Statement, Way::Prepared] {
            refused(&fixture, way, name, sql).await;
        }
    }
    is_up(&fixture).await;
}

/// Checks that a query has an answer, or an error that is the client's.
async fn refused(fixture: &Fixture, way: Way, name: &str, sql: &str) {
    let outcome = attempt(fixture, way, sql).await;
    if let Err(status) = outcome {
        let codes = [
            Code::InvalidArgument,
            Code::ResourceExhausted,
            Code::Unimplemented,
            Code::NotFound,
            Code::PermissionDenied,
        ];
        assert!(codes.contains(&status.code()), "{name} {way:?}: {status:?}");
    }
}

/// As deep as the limits allow: what passes them is planned and run without running out of stack.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_limits_allow_is_answered() {
    let fixture = Fixture::start().await;
    for levels in [6, 12, 40, 900] {
        for (name, predicate) in deep(levels) {
            for way in [Way::Statement, Way::Where] {
                let sql = match way {
                    Way::Where => predicate.clone(),
                    _ => format!("SELECT dataset FROM datasets WHERE {predicate}"),
                };
                refused(&fixture, way, name, &sql).await;
            }
        }
    }
    // Where the end is wrong, the parser reads all levels twice.
    for levels in [8, 14, 24, 45] {
        for open in
            ["CAST(", "CASE WHEN ", "NOT ", "(SELECT 1 FROM ", "((SELECT 1 FROM ", "a.f(", "f(", "(x) -> ", "ARRAY["]
        {
            let sql = open.repeat(levels) + "!";
            for way in [Way::Statement, Way::Where] {
                refused(
                    &fixture,
                    way,
                    open,
                    &if matches!(way, Way::Where) { sql.clone() } else { format!("SELECT {sql}") },
                )
                .await;
            }
            refused(&fixture, Way::Statement, open, &format!("SELECT 1 FROM {sql}")).await;
        }
    }
    let unions = "SELECT dataset FROM datasets".to_string() + &" UNION ALL SELECT dataset FROM datasets".repeat(100);
    assert_eq!(attempt(&fixture, Way::Statement, &unions).await.unwrap(), 1010);
    for nested in [20, 48] {
        let tables = "(".repeat(nested) + "datasets" + &")".repeat(nested);
        refused(&fixture, Way::Statement, "tables in parentheses", &format!("SELECT 1 FROM {tables}")).await;
    }
    is_up(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_texts_are_refused_by_their_size() {
    let fixture = Fixture::start().await;
    let literal = "x".repeat(8 << 20);
    for way in WAYS {
        let sql = match way {
            Way::Where => format!("dataset = '{literal}'"),
            _ => format!("SELECT '{literal}'"),
        };
        let status = attempt(&fixture, way, &sql).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{way:?}: {status:?}");
        assert!(status.message().contains("limit is 1048576"), "{}", status.message());
    }
    let many = (0..50_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let long_list = format!("SELECT dataset FROM datasets WHERE month IN ({many})");
    assert_eq!(attempt(&fixture, Way::Statement, &long_list).await.unwrap(), 10);
}

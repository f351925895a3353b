//! SQL that changes datasets: INSERT, UPDATE and DELETE on the table `datasets` of a store.
//!
//! Each becomes a query for what is to be written ([`Update::query`]), which is planned and run as any other, within the same
//! limits; its result is then applied, all of it in one commit.

use crate::status;
use datafusion::common::TableReference;
use datafusion::sql::parser::{DFParserBuilder, Statement as AnyStatement};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, SetExpr, Statement, TableFactor, TableObject,
    TableWithJoins, Update as UpdateStatement, Value,
};
use tonic::{Code, Status};

/// The table that can be changed.
const TABLE: &str = "datasets";

/// The column that names a dataset.
const DATASET: &str = "dataset";

/// A statement that changes datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// The store, where the statement names one.
    pub(crate) store: Option<String>,
    /// What becomes of the rows that the query gives.
    pub(crate) action: Action,
    /// The query for what is written, its columns named as the attributes and arrays; `dataset` is among them.
    pub(crate) query: String,
    /// Where the rows are bound parameters and nothing else, the column that each is: then they need no query.
    pub(crate) bound: Option<Vec<String>>,
}

/// What becomes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// They are new datasets.
    Insert,
    /// Their attributes are set; NULL removes.
    Update,
    /// The datasets that they name are deleted.
    Delete,
}

impl Update {
    /// The change that a text asks for; `None` where it is no INSERT, UPDATE or DELETE.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` and `UNIMPLEMENTED` that name the clause, where it is one that cannot be done.
    pub(crate) fn parse(sql: &str) -> Result<Option<Update>, Status> {
        let parsed = DFParserBuilder::new(sql).build().and_then(|mut parser| parser.parse_statements());
        // What cannot be parsed is for the planner to name.
        let Ok(mut statements) = parsed else { return Ok(None) };
        let Some(AnyStatement::Statement(statement)) = statements.pop_front() else { return Ok(None) };
        let update = match *statement {
            Statement::Insert(insert) => from_insert(insert)?,
            Statement::Update(update) => from_update(update)?,
            Statement::Delete(delete) => from_delete(delete)?,
            _ => return Ok(None),
        };
        if statements.is_empty() { Ok(Some(update)) } else { Err(Status::invalid_argument("one statement at a time")) }
    }
}

fn from_insert(insert: Insert) -> Result<Update, Status> {
    let unsupported = [
        (insert.or.is_some() || insert.ignore || insert.replace_into, "INSERT OR / IGNORE / REPLACE"),
        (insert.overwrite, "INSERT OVERWRITE"),
        (insert.on.is_some(), "ON CONFLICT"),
        (insert.returning.is_some() || insert.output.is_some(), "RETURNING"),
        (insert.partitioned.is_some(), "PARTITION"),
        (!insert.assignments.is_empty(), "INSERT ... SET"),
        (insert.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ];
    refuse(&unsupported)?;
    let TableObject::TableName(table) = insert.table else { return Err(unimplemented("INSERT into a function")) };
    let store = store_of(table)?;
    let source = insert.source.ok_or_else(|| unimplemented("INSERT without rows"))?;
    let columns = insert.columns.iter().map(column_name).collect::<Result<Vec<_>, _>>()?;
    // Without a list of columns those of the query are meant, by name: a table of any attributes has no order of them.
    let is_plain =
        source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none() && source.fetch.is_none();
    let values = match source.body.as_ref() {
        SetExpr::Values(values) if !columns.is_empty() && is_plain => {
            values.rows.iter().map(|row| row.content.as_slice()).collect()
        }
        _ => Vec::new(),
    };
    if let Some(row) = values.iter().find(|row| row.len() != columns.len()) {
        let message = format!("INSERT names {} columns, a row has {} values", columns.len(), row.len());
        return Err(status::status(Code::InvalidArgument, &message));
    }
    let bound = values.first().filter(|_| values.len() == 1).and_then(|row| in_order(row)).map(|()| columns.clone());
    let query = if columns.is_empty() {
        source.to_string()
    } else if values.is_empty() {
        let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        format!("SELECT * FROM ({source}) AS \"_rows\" ({})", names.join(", "))
    } else {
        // As projections: those take on the types of parameters once they have values, a list of values does not.
        let select = |row: &&[Expr]| {
            let named = row.iter().zip(&columns).map(|(value, column)| format!("{value} AS {}", quoted(column)));
            format!("SELECT {}", named.collect::<Vec<_>>().join(", "))
        };
        values.iter().map(select).collect::<Vec<_>>().join(" UNION ALL ")
    };
    Ok(Update { store, action: Action::Insert, query, bound })
}

/// Some if a row is `$1, $2, …`.
fn in_order(row: &[Expr]) -> Option<()> {
    let is_parameter = |(index, value): (usize, &Expr)| match value {
        Expr::Value(value) => matches!(&value.value, Value::Placeholder(name) if *name == format!("${}", index + 1)),
        _ => false,
    };
    row.iter().enumerate().all(is_parameter).then_some(())
}

fn from_update(update: UpdateStatement) -> Result<Update, Status> {
    let unsupported = [
        (update.from.is_some(), "UPDATE ... FROM"),
        (update.or.is_some(), "UPDATE OR"),
        (update.returning.is_some() || update.output.is_some(), "RETURNING"),
        (!update.order_by.is_empty() || update.limit.is_some(), "UPDATE ... LIMIT"),
    ];
    refuse(&unsupported)?;
    let (store, from) = table_of(update.table)?;
    let mut columns = vec![DATASET.to_string()];
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unimplemented("setting several columns at once"));
        };
        let name = column_name(name)?;
        if name == DATASET {
            return Err(Status::invalid_argument("a dataset keeps its name: column dataset cannot be set"));
        }
        columns.push(format!("({}) AS {}", assignment.value, quoted(&name)));
    }
    let condition = update.selection.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let query = format!("SELECT {} FROM {from}{condition}", columns.join(", "));
    Ok(Update { store, action: Action::Update, query, bound: None })
}

fn from_delete(delete: Delete) -> Result<Update, Status> {
    let unsupported = [
        (!delete.tables.is_empty(), "DELETE from several tables"),
        (delete.using.is_some(), "DELETE ... USING"),
        (delete.returning.is_some() || delete.output.is_some(), "RETURNING"),
        (!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE ... LIMIT"),
    ];
    refuse(&unsupported)?;
    let (FromTable::WithFromKeyword(mut tables) | FromTable::WithoutKeyword(mut tables)) = delete.from;
    let (Some(table), true) = (tables.pop(), tables.is_empty()) else {
        return Err(unimplemented("DELETE from several tables"));
    };
    let (store, from) = table_of(table)?;
    let condition = delete.selection.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let query = format!("SELECT {DATASET} FROM {from}{condition}");
    Ok(Update { store, action: Action::Delete, query, bound: None })
}

/// The store of a table that can be changed, and the table as it was written.
fn table_of(table: TableWithJoins) -> Result<(Option<String>, String), Status> {
    let from = table.to_string();
    match table.relation {
        TableFactor::Table { name, .. } if table.joins.is_empty() => Ok((store_of(name)?, from)),
        _ => Err(unimplemented("changing a join")),
    }
}

/// The store whose `datasets` a name is.
fn store_of(name: ObjectName) -> Result<Option<String>, Status> {
    let shown = name.to_string();
    let table = object_name_to_table_reference(name, true).map_err(|error| status::from_datafusion(&error))?;
    if table.table() != TABLE {
        let message = format!("{shown} cannot be changed: what can be is the table datasets of a store");
        return Err(status::status(Code::InvalidArgument, &message));
    }
    Ok(match &table {
        TableReference::Bare { .. } => None,
        TableReference::Partial { schema, .. } | TableReference::Full { schema, .. } => Some(schema.to_string()),
    })
}

/// The name of a column, in lower case where it is not quoted.
fn column_name(name: &ObjectName) -> Result<String, Status> {
    let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
    match parts.as_deref() {
        Some([ident]) if ident.quote_style.is_some() => Ok(ident.value.clone()),
        Some([ident]) => Ok(ident.value.to_lowercase()),
        _ => Err(status::status(Code::InvalidArgument, &format!("{name} is no column of {TABLE}"))),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn refuse(clauses: &[(bool, &str)]) -> Result<(), Status> {
    let found = clauses.iter().find(|(is_there, _)| *is_there);
    found.map_or(Ok(()), |(_, clause)| Err(unimplemented(clause)))
}

fn unimplemented(what: &str) -> Status {
    status::status(Code::Unimplemented, &format!("{what} is not supported"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn parsed(sql: &str) -> Update {
        Update::parse(sql).unwrap().unwrap()
    }

    #[test]
    fn statements_become_queries_for_what_they_write() {
        let insert =
            parsed("INSERT INTO fleet.datasets (dataset, Month, \"Depth m\") VALUES ('a', $1, 2), ('b', 3, $2)");
        assert_eq!((insert.store.as_deref(), insert.action), (Some("fleet"), Action::Insert));
        assert_eq!(
            insert.query,
            "SELECT 'a' AS \"dataset\", $1 AS \"month\", 2 AS \"Depth m\" UNION ALL \
             SELECT 'b' AS \"dataset\", 3 AS \"month\", $2 AS \"Depth m\""
        );
        assert_eq!(insert.bound, None);
        let rows = parsed("INSERT INTO datasets (dataset, month) VALUES ($1, $2)");
        assert_eq!(rows.bound.unwrap(), ["dataset", "month"]);
        let first = parsed("INSERT INTO datasets (dataset) VALUES ('a'), ('b') LIMIT 1");
        assert_eq!(first.query, "SELECT * FROM (VALUES ('a'), ('b') LIMIT 1) AS \"_rows\" (\"dataset\")");
        let chosen = parsed("INSERT INTO datasets (a, b) SELECT x, y FROM t");
        assert_eq!(chosen.query, "SELECT * FROM (SELECT x, y FROM t) AS \"_rows\" (\"a\", \"b\")");
        let update = parsed("UPDATE datasets SET month = month + 1, ship = NULL WHERE station = 's1'");
        assert_eq!((update.store, update.action), (None, Action::Update));
        let expected =
            "SELECT dataset, (month + 1) AS \"month\", (NULL) AS \"ship\" FROM datasets WHERE station = 's1'";
        assert_eq!(update.query, expected);
        let delete = parsed("DELETE FROM atlas.fleet.datasets");
        assert_eq!((delete.store.as_deref(), delete.action), (Some("fleet"), Action::Delete));
        assert_eq!(delete.query, "SELECT dataset FROM atlas.fleet.datasets");
        assert_eq!(parsed("INSERT INTO datasets SELECT 'x' AS dataset").query, "SELECT 'x' AS dataset");
    }

    #[test]
    fn other_statements_are_none() {
        for sql in ["SELECT 1", "DROP TABLE datasets", "not sql", "", "CREATE TABLE t (a INT)"] {
            assert_eq!(Update::parse(sql).unwrap(), None, "{sql}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (sql, code, part) in [
            ("DELETE FROM catalog", Code::InvalidArgument, "catalog"),
            ("UPDATE datasets SET dataset = 'x'", Code::InvalidArgument, "keeps its name"),
            ("INSERT INTO datasets VALUES ('x') RETURNING dataset", Code::Unimplemented, "RETURNING"),
            ("INSERT INTO datasets (dataset) VALUES ('x') ON CONFLICT DO NOTHING", Code::Unimplemented, "ON CONFLICT"),
            ("DELETE FROM datasets USING other WHERE true", Code::Unimplemented, "USING"),
            ("INSERT INTO datasets (dataset, a) VALUES ('x')", Code::InvalidArgument, "2 columns, a row has 1"),
            ("DELETE FROM datasets; DELETE FROM datasets", Code::InvalidArgument, "one statement"),
        ] {
            let status = Update::parse(sql).unwrap_err();
            assert_eq!(status.code(), code, "{sql}");
            assert!(status.message().contains(part), "{sql}: {}", status.message());
        }
    }
}

//! SqlInfo: what the server says of itself, each value of the type that the standard gives its code.

use super::guard;
use crate::limits::Limits;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction,
    SqlSupportedUnions, SqlSupportsConvert, SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use std::collections::BTreeMap;

/// No limit, in the codes that give one.
const NO_LIMIT: i64 = 0;

/// Every standard code that a server with these limits has an answer to; `writable` says whether datasets can be changed.
///
/// # Errors
/// An Arrow error, which the values do not cause.
pub(crate) fn sql_info(limits: &Limits, writable: bool) -> Result<SqlInfoData, arrow_flight::error::FlightError> {
    let mut info = SqlInfoDataBuilder::new();
    server(&mut info, writable);
    syntax(&mut info);
    functions(&mut info);
    support(&mut info);
    maxima(&mut info, limits);
    transactions(&mut info);
    info.build()
}

fn server(info: &mut SqlInfoDataBuilder, writable: bool) {
    info.append(SqlInfo::FlightSqlServerName, "Atlas");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, !writable);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::FlightSqlServerCancel, true);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, writable);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    // Of the handles of prepared statements, which do not expire.
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0i32);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0i32);
}

fn syntax(info: &mut SqlInfoDataBuilder) {
    for code in [SqlInfo::SqlDdlCatalog, SqlInfo::SqlDdlSchema, SqlInfo::SqlDdlTable] {
        info.append(code, false);
    }
    info.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlExtraNameCharacters, "");
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlProcedureTerm, "procedure");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlCatalogAtStart, true);
}

fn functions(info: &mut SqlInfoDataBuilder) {
    let keywords: &[&str] = &["ANTI", "ASOF", "EXCLUDE", "EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "SEMI"];
    info.append(SqlInfo::SqlKeywords, keywords);
    let numeric: &[&str] = &[
        "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "degrees", "exp", "floor", "ln", "log10", "log2", "pi",
        "power", "radians", "random", "round", "sin", "sqrt", "tan", "trunc",
    ];
    info.append(SqlInfo::SqlNumericFunctions, numeric);
    let string: &[&str] = &[
        "ascii",
        "char_length",
        "chr",
        "concat",
        "left",
        "lower",
        "lpad",
        "ltrim",
        "repeat",
        "replace",
        "reverse",
        "right",
        "rpad",
        "rtrim",
        "split_part",
        "strpos",
        "substr",
        "trim",
        "upper",
    ];
    info.append(SqlInfo::SqlStringFunctions, string);
    let system: &[&str] = &["coalesce", "nullif", "version"];
    info.append(SqlInfo::SqlSystemFunctions, system);
    let datetime: &[&str] = &["current_date", "current_time", "date_bin", "date_part", "date_trunc", "now", "to_char"];
    info.append(SqlInfo::SqlDatetimeFunctions, datetime);
}

fn support(info: &mut SqlInfoDataBuilder) {
    for code in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        info.append(code, true);
    }
    for code in [
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlMaxRowSizeIncludesBlobs,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        info.append(code, false);
    }
    let group_by = bits(&[SqlSupportedGroupBy::SqlGroupByUnrelated as i32]);
    info.append(SqlInfo::SqlSupportedGroupBy, group_by);
    info.append(SqlInfo::SqlSupportedGrammar, bits(&[SupportedSqlGrammar::SqlCoreGrammar as i32]));
    // Bit 0 is the entry level of ANSI-92.
    info.append(SqlInfo::SqlAnsi92SupportedLevel, 1i32);
    info.append(SqlInfo::SqlOuterJoinsSupportLevel, bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32]));
    // Procedure calls, index and privilege definitions: there are none, qualified or not.
    info.append(SqlInfo::SqlSchemasSupportedActions, 0i32);
    info.append(SqlInfo::SqlCatalogsSupportedActions, 0i32);
    info.append(SqlInfo::SqlSupportedPositionedCommands, 0i32);
    let subqueries = bits(&[
        SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
        SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
        SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    ]);
    info.append(SqlInfo::SqlSupportedSubqueries, subqueries);
    let unions = bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]);
    info.append(SqlInfo::SqlSupportedUnions, unions);
    let numbers = vec![
        SqlSupportsConvert::SqlConvertBigint as i32,
        SqlSupportsConvert::SqlConvertFloat as i32,
        SqlSupportsConvert::SqlConvertInteger as i32,
        SqlSupportsConvert::SqlConvertVarchar as i32,
    ];
    let convert: BTreeMap<i32, Vec<i32>> = numbers.iter().map(|from| (*from, numbers.clone())).collect();
    info.append(SqlInfo::SqlSupportsConvert, convert);
    let forward = bits(&[SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32]);
    info.append(SqlInfo::SqlSupportedResultSetTypes, forward);
    let read_only = bits(&[SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32]);
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, read_only);
    for code in [
        SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
    ] {
        info.append(code, 0i32);
    }
}

fn maxima(info: &mut SqlInfoDataBuilder, limits: &Limits) {
    let count = |count: usize| i64::try_from(count).unwrap_or(NO_LIMIT);
    info.append(SqlInfo::SqlMaxConnections, count(limits.connections));
    info.append(SqlInfo::SqlMaxStatementLength, count(guard::MAX_SQL_BYTES));
    for code in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        info.append(code, NO_LIMIT);
    }
}

fn transactions(info: &mut SqlInfoDataBuilder) {
    info.append(
        SqlInfo::SqlDefaultTransactionIsolation,
        i64::from(SqlTransactionIsolationLevel::SqlTransactionNone as i32),
    );
    info.append(SqlInfo::SqlTransactionsSupported, false);
    let none = bits(&[SqlTransactionIsolationLevel::SqlTransactionNone as i32]);
    info.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, none);
    info.append(SqlInfo::SqlDataDefinitionCausesTransactionCommit, false);
    info.append(SqlInfo::SqlDataDefinitionsInTransactionsIgnored, true);
}

/// A bitmask with these bits set.
fn bits(positions: &[i32]) -> i32 {
    positions.iter().fold(0, |mask, position| mask | 1 << position)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::UInt32Type;

    #[test]
    fn values_have_the_standard_types() {
        let data = sql_info(&Limits::default(), false).unwrap();
        let batch = data.record_batch([0, 3, 8, 100, 503, 504, 508, 517, 541, 562]).unwrap();
        let codes = batch.column(0).as_primitive::<UInt32Type>().values().to_vec();
        assert_eq!(codes, [0, 3, 8, 100, 503, 504, 508, 517, 541, 562]);
        let values = batch.column(1).as_union();
        let children: Vec<i8> = (0..codes.len()).map(|row| values.type_id(row)).collect();
        // utf8, bool, int32, int32, int32, utf8, list, map, int64, int64
        assert_eq!(children, [0, 1, 3, 3, 3, 0, 4, 5, 2, 2]);
    }

    #[test]
    fn unknown_codes_are_left_out() {
        let data = sql_info(&Limits::default(), false).unwrap();
        assert_eq!(data.record_batch([0, 9999]).unwrap().num_rows(), 1);
        assert!(data.record_batch([]).unwrap().num_rows() > 80);
    }
}

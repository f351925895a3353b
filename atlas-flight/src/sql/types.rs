//! XdbcTypeInfo: the SQL types of result columns, as JDBC and ODBC list them.

use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// Every type that a column of a query can have.
///
/// # Errors
/// An Arrow error, which the fixed values do not cause.
pub(crate) fn type_info() -> Result<XdbcTypeInfoData, arrow_flight::error::FlightError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    types.append(plain("BOOLEAN", XdbcDataType::XdbcBit, 1));
    for (name, data_type, digits, unsigned) in [
        ("TINYINT", XdbcDataType::XdbcTinyint, 3, false),
        ("TINYINT UNSIGNED", XdbcDataType::XdbcTinyint, 3, true),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 5, false),
        ("SMALLINT UNSIGNED", XdbcDataType::XdbcSmallint, 5, true),
        ("INTEGER", XdbcDataType::XdbcInteger, 10, false),
        ("INTEGER UNSIGNED", XdbcDataType::XdbcInteger, 10, true),
        ("BIGINT", XdbcDataType::XdbcBigint, 19, false),
        ("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, 20, true),
    ] {
        types.append(number(name, data_type, digits, 10, unsigned));
    }
    types.append(number("REAL", XdbcDataType::XdbcReal, 24, 2, false));
    types.append(number("DOUBLE", XdbcDataType::XdbcDouble, 53, 2, false));
    types.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".into(), "scale".into()]),
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        ..number("DECIMAL", XdbcDataType::XdbcDecimal, 38, 10, false)
    });
    types.append(quoted("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX, "'"));
    types.append(quoted("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX, "X'"));
    // The standard gives years and dates one code.
    types.append(datetime("DATE", XdbcDataType::XdbcDate, 10, XdbcDatetimeSubcode::XdbcSubcodeYear));
    types.append(datetime("TIME", XdbcDataType::XdbcTime, 18, XdbcDatetimeSubcode::XdbcSubcodeTime));
    types.append(datetime("TIMESTAMP", XdbcDataType::XdbcTimestamp, 29, XdbcDatetimeSubcode::XdbcSubcodeTimestamp));
    types.build()
}

fn plain(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.into(),
        data_type,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.into()),
        sql_data_type: data_type,
        auto_increment: Some(false),
        ..XdbcTypeInfo::default()
    }
}

fn number(name: &str, data_type: XdbcDataType, digits: i32, radix: i32, unsigned: bool) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(unsigned),
        num_prec_radix: Some(radix),
        fixed_prec_scale: false,
        ..plain(name, data_type, digits)
    }
}

fn quoted(name: &str, data_type: XdbcDataType, size: i32, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.into()),
        literal_suffix: Some("'".into()),
        case_sensitive: true,
        ..plain(name, data_type, size)
    }
}

fn datetime(name: &str, data_type: XdbcDataType, size: i32, subcode: XdbcDatetimeSubcode) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(format!("{name} '")),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..quoted(name, data_type, size, "'")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn types_are_found_by_their_code() {
        let types = type_info().unwrap();
        assert_eq!(types.record_batch(XdbcDataType::XdbcBigint as i32).unwrap().num_rows(), 2);
        assert_eq!(types.record_batch(-999).unwrap().num_rows(), 0);
        assert!(types.record_batch(None).unwrap().num_rows() > 15);
    }
}

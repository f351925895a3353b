//! Three questions to a served fleet, asked over TCP as any other client would.

use crate::cli::{Failure, Output, write_table};
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::client::Client;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Float32Type;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Which datasets there are: attributes and statistics, grouped.
const CATALOG: &str = "\
SELECT cruise, min(month) AS month, count(*) AS casts, round(min(latitude), 1) AS south,
       round(max(latitude), 1) AS north, round(max(temperature_max), 1) AS warmest
FROM catalog GROUP BY cruise ORDER BY warmest DESC LIMIT 4";

/// Which datasets pass a bar: decided by stored statistics.
const FILTER: &str = "\
SELECT dataset, station, month, latitude, stat_max(temperature) AS warmest,
       round(stat_mean(salinity), 2) AS salinity
FROM datasets WHERE stat_max(temperature) > 28 AND latitude > 0 ORDER BY warmest DESC LIMIT 4";

/// The condition of the stacked read.
const WARM: &str = "latitude > 0 AND stat_max(temperature) > 28";

/// The upper ten levels (0 to 45 m) of a day.
const START: [u64; 2] = [0, 0];
const SHAPE: [u64; 2] = [10, 24];

/// Asks the three questions and writes the answers and how long they took.
pub(super) async fn take(store: &str, address: SocketAddr, out: &mut Output) -> Result<(), Failure> {
    let client = Client::connect(&format!("grpc://{address}")).await.map_err(Failure::failed)?;

    let began = Instant::now();
    let answer = client.query(CATALOG).await.map_err(Failure::failed)?;
    heading("1  a question to the catalog", began.elapsed(), out)?;
    write_sql(CATALOG, out)?;
    write_table(&answer, "   ", out)?;

    let began = Instant::now();
    let answer = client.query(FILTER).await.map_err(Failure::failed)?;
    heading("2  a filter on stored statistics", began.elapsed(), out)?;
    write_sql(FILTER, out)?;
    write_table(&answer, "   ", out)?;
    let plan = client.query(&format!("EXPLAIN {FILTER}")).await.map_err(Failure::failed)?;
    if let Some(line) = scan_line(&plan) {
        writeln!(out, "   EXPLAIN: {line}")?;
    }

    let request = StackedRequest::from_command(command(store).as_bytes()).map_err(Failure::failed)?;
    let began = Instant::now();
    let answer = client.stacked(&request).await.map_err(Failure::failed)?;
    heading("3  the same slice of every cast that passes, as one array", began.elapsed(), out)?;
    writeln!(out, "   {}", command(store))?;
    writeln!(out, "   {}", summary(&answer))?;
    Ok(())
}

/// A length of time in the unit that suits it.
pub(super) fn elapsed(time: Duration) -> String {
    if time.as_millis() >= 1000 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}

/// Four lines that ask the same server from Python.
pub(super) fn python(store: &str, address: SocketAddr) -> [String; 4] {
    let sql = "SELECT * FROM catalog";
    [
        "import adbc_driver_flightsql.dbapi as adbc, pyarrow.flight as flight".to_owned(),
        format!("print(adbc.connect(\"grpc://{address}\", autocommit=True).execute(\"{sql}\").fetch_arrow_table())"),
        format!(
            "client = flight.connect(\"grpc://{address}\"); \
             info = client.get_flight_info(flight.FlightDescriptor.for_path(\"{store}\", \"temperature\"))"
        ),
        "print(client.do_get(info.endpoints[0].ticket).read_all()[\"temperature\"].combine_chunks()\
         .to_numpy_ndarray().shape)"
            .to_owned(),
    ]
}

/// The stacked read as clients of other languages write it.
fn command(store: &str) -> String {
    format!(
        "{{\"stacked\": {{\"store\": \"{store}\", \"arrays\": [\"temperature\"], \"where\": \"{WARM}\", \
         \"start\": {START:?}, \"shape\": {SHAPE:?}}}}}"
    )
}

fn heading(title: &str, time: Duration, out: &mut Output) -> Result<(), Failure> {
    Ok(writeln!(out, "\n{title:<70}{:>9}", elapsed(time))?)
}

fn write_sql(sql: &str, out: &mut Output) -> Result<(), Failure> {
    for line in sql.lines() {
        writeln!(out, "   {line}")?;
    }
    Ok(())
}

/// What a plan says that its scan considers and reads.
fn scan_line(plan: &[RecordBatch]) -> Option<String> {
    let texts = plan.iter().filter_map(|batch| batch.column_by_name("plan")?.as_string_opt::<i32>());
    let lines: Vec<&str> = texts.flat_map(|texts| texts.iter().flatten()).flat_map(str::lines).collect();
    let scan = lines.iter().find(|line| line.contains("Scan") && line.contains("datasets="))?;
    let numbers = scan.find("datasets=").map_or(*scan, |at| &scan[at..]);
    Some(numbers.trim().to_owned())
}

/// The shape and mean of the stacked array, and how much came over the wire.
fn summary(batches: &[RecordBatch]) -> String {
    let (mut casts, mut bytes, mut values, mut sum) = (0, 0, 0u32, 0f64);
    for batch in batches {
        casts += batch.num_rows();
        let Some(tensors) = batch.column_by_name("temperature").and_then(|column| column.as_fixed_size_list_opt())
        else {
            continue;
        };
        let Some(cells) = tensors.values().as_primitive_opt::<Float32Type>() else { continue };
        bytes += size_of_val(cells.values().as_ref());
        for value in cells.values().iter().filter(|value| !value.is_nan()) {
            values += 1;
            sum += f64::from(*value);
        }
    }
    let [depths, hours] = SHAPE;
    let mean = sum / f64::from(values.max(1));
    format!(
        "temperature float32 ({casts}, {depths}, {hours}), {}: {mean:.2} °C in the mean of the upper 45 m",
        indicatif::HumanBytes(bytes as u64),
    )
}

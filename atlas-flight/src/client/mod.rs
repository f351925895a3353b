//! A client of the server: SQL, stacked reads and writes from Rust.
//!
//! | file | concept |
//! |---|---|
//! | `address` | `grpc://host:port/store`: where a server is, and which of its stores is meant |
//! | `connection` | TLS, the login, the headers of every call |
//! | `calls` | [`Client`]: queries, schemas, what every call shares |
//! | `stream` | [`BatchStream`]: a result that is read as it comes |
//! | `redeem` | tickets: one after the other or some ahead, and again where a read was cut |
//! | `prepared` | statements with parameters |
//! | `put` | updates, ingestion, batches into a store |
//! | `actions` | actions: session options, cancellation |
//! | `browse` | stores and tables by name |
//! | `error` | why a call failed |
//!
//! A result is read as it comes: a few batches are in memory at a time, a client that reads slowly slows the server, and
//! dropping a stream ends the work there.
//!
//! ```
//! use atlas_flight::bulk::request::StackedRequest;
//! use atlas_flight::client::Client;
//! use atlas_flight::{Limits, server::Server};
//! use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Store};
//! use futures::TryStreamExt;
//!
//! # #[tokio::main(flavor = "multi_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = Store::create(&directory.path().join("fleet").display().to_string(), CreateOptions::default())?;
//! # for cast in ["a", "b"] {
//! #     store.create_dataset(cast)?;
//! #     store.define_array(cast, "t", ArraySchema::new(DType::Int32, &["z"], &[3]))?;
//! #     store.write_array(cast, "t", &[0], &ArrayData::from_numbers(vec![3], vec![1i32, 2, 3])?)?;
//! # }
//! # store.flush()?;
//! let server = Server::bind("127.0.0.1:0", vec![("fleet".into(), store)], Limits::default()).await?;
//! let address = format!("grpc://{}", server.local_addr());
//! tokio::spawn(server.run(std::future::pending()));
//!
//! let client = Client::connect(&address).await?;
//! let batches = client.query("SELECT dataset, stat_max(t) AS warmest FROM datasets").await?;
//! assert_eq!(batches[0].num_rows(), 2);
//!
//! let request = StackedRequest { store: "fleet".into(), arrays: vec!["t".into()], ..StackedRequest::default() };
//! let mut casts = client.stacked_stream(&request).await?;
//! assert_eq!(casts.total_rows(), Some(2));
//! while let Some(batch) = casts.try_next().await? {
//!     println!("{} casts, {} columns", batch.num_rows(), batch.num_columns());
//! }
//! # Ok(())
//! # }
//! ```

mod actions;
mod address;
mod browse;
mod calls;
mod connection;
mod error;
mod prepared;
mod put;
mod redeem;
mod stream;

pub use actions::SessionValue;
pub use address::Address;
pub use browse::TableName;
pub use calls::Client;
pub use connection::ConnectOptions;
pub use error::ClientError;
pub use prepared::{PreparedStatement, parameters};
pub use put::{Ingest, IngestMode};
pub use redeem::ReadOptions;
pub use stream::BatchStream;

//! The Atlas Flight and Flight SQL server, its client, and the atlas command.
//!
//! One port serves two protocols:
//!
//! - **Flight SQL** ([`server`]): statements, prepared statements and the browsing calls of ADBC, JDBC and ODBC.
//! - **plain Flight**: stacked reads named by a path (`[store, array]`) or by a JSON command ([`bulk`]).
//!
//! A request goes [`auth`] (whose is it?) → `service` (routing) → `view` (what may that user see?) → `sql` or [`bulk`]
//! (planning) → a stream of Arrow batches. Errors become gRPC codes in `status`; the tickets that clients carry back are
//! made and opened in `ticket`. `observe` logs and counts every call, and `refresh` follows the stores' writers. [`client`] is the other end of the wire.

pub mod arrays;
pub mod auth;
pub mod bulk;
pub mod client;
pub mod server;
pub mod tls;
pub mod write;

mod connections;
mod life;
mod limits;
mod observe;
mod recent;
mod refresh;
mod running;
mod service;
mod sql;
mod status;
mod ticket;
mod view;

pub use limits::Limits;
#[doc(hidden)]
pub use service::measure;

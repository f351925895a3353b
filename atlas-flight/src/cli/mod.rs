//! The command line: one file a command, and the few concepts that commands share.
//!
//! | file | concept |
//! |---|---|
//! | `command` | what can be typed, and the exit code that follows |
//! | `failure` | why a command did not do its work, as one line |
//! | `output` | standard output and files: broken pipes, replaced files |
//! | `columns` | aligned text for people |
//! | `describe` | shapes, values and sizes as text and as JSON |
//! | `results/` | the answer of a query as table, CSV, JSON, Arrow IPC or Parquet |
//! | `statement` | SQL text, executed statement by statement |
//! | `session/` | where statements run: a store here, with files and views beside it, or a server |
//! | `shell/` | statements as they are typed |
//! | `remote` | servers: addresses, credentials, connections |
//! | `npy` | numpy's file format |
//! | `commit` | a flush that goes on where another writer was first |
//! | `new_store` | a store that exists only if the command succeeds |
//! | `settings/` | what the environment and the settings file say in place of flags |
//! | `banner` | what `atlas serve` says when it starts |
//! | `logs` | which events are logged, and how |
//! | `runtime` | threads for asynchronous work, and being told to stop |

mod banner;
mod columns;
mod command;
mod commit;
mod compact;
mod create;
mod describe;
mod failure;
mod import;
mod info;
mod limits;
mod logs;
mod ls;
mod new_store;
mod npy;
mod output;
mod passwd;
mod query;
mod read;
mod remote;
mod results;
mod rm;
mod runtime;
mod serve;
mod session;
mod settings;
mod shell;
mod show;
mod statement;
mod verify;

pub(crate) use command::run;
pub(crate) use commit::commit;
pub(crate) use failure::Failure;
pub(crate) use new_store::NewStore;
pub(crate) use output::Output;
pub(crate) use results::write_table;
pub(crate) use runtime::{runtime, stop_signal};

//! Who may call the server, and what each may read.
//!
//! Every call passes `layer` before it is routed: `credentials` reads its header, `authenticator` decides whose it is, and a
//! `caller` goes with the call from there. [`Users`] is the file of users; `password` compares passwords, slowly
//! and few at a time, `throttle` counts wrong ones; `reload` reads the file again; `session` makes the tokens that a handshake gives; [`Key`] signs those and the tickets.
//!
//! | a client sends | it is |
//! |---|---|
//! | `Basic` | a name and password, in the handshake or with every call |
//! | `Bearer` | the token of a handshake, which expires, or a static token of the users file |
//! | nothing | nobody, and refused; where no users are configured, everybody |

mod authenticator;
mod caller;
mod credentials;
mod key;
mod layer;
mod password;
mod reload;
mod session;
mod static_token;
mod throttle;
mod users;

pub use key::Key;
pub use password::hash_password;
pub use static_token::StaticToken;
pub use users::Users;

pub(crate) use authenticator::{Authenticator, Token};
pub(crate) use caller::Caller;
pub(crate) use key::{OpenError, Opened, Purpose, random_id};
pub(crate) use layer::Authenticated;
pub(crate) use reload::follow as follow_users;

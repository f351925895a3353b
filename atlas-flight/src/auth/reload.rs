//! Reading the users file again when it has changed.

use super::authenticator::Authenticator;
use super::users::{Stamp, Users};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps the users of `authenticator` as their file has them, for as long as this is polled. A file that cannot be read, or is
/// none, leaves them as they are, and is logged.
pub(crate) async fn follow(authenticator: Arc<Authenticator>) {
    let Some((path, mut seen)) = authenticator.users_file() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Hashes of the file are checked, which takes a moment.
        let file = path.clone();
        let looked = tokio::task::spawn_blocking(move || look(file, seen));
        let Ok((stamp, read)) = looked.await else { continue };
        seen = stamp;
        match read {
            Some(Ok(users)) => {
                tracing::info!(file = %path.display(), ?users, "read the users again");
                authenticator.set_users(users);
            }
            Some(Err(error)) => tracing::error!(%error, "the users are as they were before the file changed"),
            None => {}
        }
    }
}

/// How the file looks now, and what is in it where it has changed.
fn look(path: PathBuf, seen: Stamp) -> (Stamp, Option<Result<Users, crate::server::ServeError>>) {
    let stamp = Stamp::of(&path);
    if stamp == seen {
        return (seen, None);
    }
    let read = Users::read(&path);
    (stamp, Some(read))
}

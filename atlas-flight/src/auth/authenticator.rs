//! From the headers of a call to its caller.

use super::caller::Caller;
use super::credentials::{Credentials, credentials};
use super::key::Key;
use super::password::Passwords;
use super::session::{self, SessionError};
use super::users::Users;
use crate::server::ServeError;
use std::time::{Duration, SystemTime};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// The token of everybody where there are no users: clients that were told a user name fail without one.
const ANONYMOUS_TOKEN: &str = "anonymous";

/// Decides whose a call is.
pub(crate) struct Authenticator {
    users: Option<Users>,
    passwords: Passwords,
    key: Key,
    token_lifetime: Duration,
}

/// What a handshake answers with.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl Authenticator {
    /// Lets in these users; everybody where there are none.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub(crate) fn new(users: Option<Users>, key: Key, token_lifetime: Duration) -> Result<Self, ServeError> {
        Ok(Authenticator { users, passwords: Passwords::new()?, key, token_lifetime })
    }

    /// The caller of a call with these headers.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where there are users and it is none of them. A wrong password and an unknown name are told apart
    /// neither by what is said nor by how long it takes.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        let Some(users) = &self.users else { return Ok(Caller::anybody()) };
        match credentials(headers)? {
            Some(Credentials::Basic { user, password }) => self.by_password(users, &user, &password).await,
            Some(Credentials::Bearer(token)) => self.by_token(users, &token),
            None => Err(Status::unauthenticated("log in: the call has no user name and password, and no token")),
        }
    }

    /// The token that a handshake gives to a caller with these headers: a new one for a password; the same for a token, which
    /// cannot be made to live longer.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the headers hold no credentials.
    pub(crate) fn token(&self, caller: &Caller, headers: &HeaderMap) -> Result<Token, Status> {
        let Some(users) = &self.users else { return Ok(Token(ANONYMOUS_TOKEN.into())) };
        match credentials(headers)? {
            Some(Credentials::Bearer(token)) => Ok(Token(token)),
            Some(Credentials::Basic { .. }) => {
                let hash = users.password_hash(&caller.user).unwrap_or_default();
                let now = SystemTime::now();
                Ok(Token(session::issue(&self.key, &caller.user, hash, now, self.token_lifetime)))
            }
            None => Err(Status::unauthenticated("log in: a handshake needs credentials")),
        }
    }

    async fn by_password(&self, users: &Users, name: &str, password: &str) -> Result<Caller, Status> {
        let hash = users.password_hash(name);
        let equal = self.passwords.are_equal(password, hash.unwrap_or(users.decoy())).await?;
        let caller = users.caller(name).filter(|_| equal && hash.is_some());
        caller.ok_or_else(|| Status::unauthenticated("the user name or the password is wrong"))
    }

    fn by_token(&self, users: &Users, token: &str) -> Result<Caller, Status> {
        if let Some(owner) = users.owner_of(token) {
            return Ok(owner);
        }
        let unknown = || Status::unauthenticated("the token is not known here: log in again");
        let session = session::open(&self.key, token, SystemTime::now()).map_err(|error| match error {
            SessionError::Expired => Status::unauthenticated("the token has expired: log in again"),
            SessionError::Unknown => unknown(),
        })?;
        let same_password = users.password_hash(&session.user).is_some_and(|hash| session.is_for(hash));
        users.caller(&session.user).filter(|_| same_password).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::auth::{StaticToken, hash_password};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use tonic::Code;
    use tonic::codegen::http::header::AUTHORIZATION;

    const HOUR: Duration = Duration::from_secs(3600);

    fn users(password: &str) -> Users {
        let hash = hash_password(password).unwrap();
        let text = format!(
            "[users.ann]\npassword = {hash:?}\nstores = {{}}\n[users.bot]\ntokens = [{:?}]\nstores = {{}}",
            StaticToken::random().unwrap().hash()
        );
        Users::parse(&text).unwrap()
    }

    fn headers(header: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        headers
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    #[tokio::test]
    async fn wrong_passwords_and_unknown_users_look_alike() {
        let auth = Authenticator::new(Some(users("secret")), Key::random().unwrap(), HOUR).unwrap();
        assert_eq!(&*auth.caller(&basic("ann", "secret")).await.unwrap().user, "ann");
        let mut seen = std::collections::HashSet::new();
        for (user, password) in [("ann", "wrong"), ("ann", ""), ("nobody", "secret"), ("bot", ""), ("", "")] {
            let status = auth.caller(&basic(user, password)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
            seen.insert(status.message().to_string());
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[tokio::test]
    async fn sessions_end_with_their_time_their_password_and_their_user() {
        let key = Key::random().unwrap();
        let hash_of_ann = users("secret");
        let auth = Authenticator::new(Some(hash_of_ann), key.clone(), HOUR).unwrap();
        let login = basic("ann", "secret");
        let caller = auth.caller(&login).await.unwrap();
        let bearer = headers(&format!("Bearer {}", auth.token(&caller, &login).unwrap().0));
        assert_eq!(&*auth.caller(&bearer).await.unwrap().user, "ann");
        assert_eq!(format!("Bearer {}", auth.token(&caller, &bearer).unwrap().0), bearer[AUTHORIZATION]);
        let new_password = Authenticator::new(Some(users("secret")), key.clone(), HOUR).unwrap();
        assert_eq!(new_password.caller(&bearer).await.unwrap_err().code(), Code::Unauthenticated);
        let other_key = Authenticator::new(Some(users("secret")), Key::random().unwrap(), HOUR).unwrap();
        assert_eq!(other_key.caller(&bearer).await.unwrap_err().code(), Code::Unauthenticated);
        let short = Authenticator::new(Some(users("secret")), key, Duration::ZERO).unwrap();
        let caller = short.caller(&login).await.unwrap();
        let bearer = headers(&format!("Bearer {}", short.token(&caller, &login).unwrap().0));
        let status = short.caller(&bearer).await.unwrap_err();
        assert_eq!((status.code(), status.message().contains("expired")), (Code::Unauthenticated, true));
    }

    #[tokio::test]
    async fn without_users_everybody_is_let_in() {
        let auth = Authenticator::new(None, Key::random().unwrap(), HOUR).unwrap();
        for headers in [HeaderMap::new(), headers("Bearer x"), headers("Digest x"), basic("ann", "x")] {
            let caller = auth.caller(&headers).await.unwrap();
            assert_eq!(auth.token(&caller, &headers).unwrap().0, "anonymous");
        }
    }
}

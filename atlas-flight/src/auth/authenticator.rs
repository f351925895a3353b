//! From the headers of a call to its caller.

use super::caller::Caller;
use super::credentials::{Credentials, credentials};
use super::key::Key;
use super::password::Passwords;
use super::session::{self, SessionError};
use super::static_token;
use super::throttle::Throttle;
use super::users::{Stamp, Users};
use crate::server::ServeError;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// The token of everybody where there are no users: clients that were told a user name fail without one.
const ANONYMOUS_TOKEN: &str = "anonymous";

/// Decides whose a call is.
pub(crate) struct Authenticator {
    /// As their file had them last.
    users: Option<RwLock<Arc<Users>>>,
    passwords: Passwords,
    throttle: Throttle,
    key: Key,
    token_lifetime: Duration,
}

/// What a handshake answers with.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl Authenticator {
    /// Lets in these users, who may give so many wrong passwords within a minute; everybody where there are none.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub(crate) fn new(
        users: Option<Users>,
        key: Key,
        token_lifetime: Duration,
        login_failures: Option<u32>,
    ) -> Result<Self, ServeError> {
        let users = users.map(|users| RwLock::new(Arc::new(users)));
        let throttle = Throttle::new(login_failures);
        Ok(Authenticator { users, passwords: Passwords::new()?, throttle, key, token_lifetime })
    }

    /// The file that the users came from, as it was then.
    pub(super) fn users_file(&self) -> Option<(PathBuf, Stamp)> {
        self.users()?.file()
    }

    /// Lets in these users from now on, where it lets in users at all.
    pub(super) fn set_users(&self, users: Users) {
        if let Some(current) = &self.users {
            *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
        }
    }

    fn users(&self) -> Option<Arc<Users>> {
        let users = self.users.as_ref()?;
        Some(Arc::clone(&users.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The caller of a call with these headers, from this address.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where there are users and it is none of them. A wrong password and an unknown name are told apart
    /// neither by what is said nor by how long it takes.
    pub(crate) async fn caller(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, Status> {
        let Some(users) = self.users() else { return Ok(Caller::anybody()) };
        match credentials(headers)? {
            Some(Credentials::Basic { user, password }) => self.by_password(&users, &user, &password, address).await,
            Some(Credentials::Bearer(token)) => self.by_token(&users, &token),
            None => Err(Status::unauthenticated("log in: the call has no user name and password, and no token")),
        }
    }

    /// The token that a handshake gives to a caller with these headers: a new one for a password; the same for a token, which
    /// cannot be made to live longer.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the headers hold no credentials.
    pub(crate) fn token(&self, caller: &Caller, headers: &HeaderMap) -> Result<Token, Status> {
        let Some(users) = self.users() else { return Ok(Token(ANONYMOUS_TOKEN.into())) };
        match credentials(headers)? {
            Some(Credentials::Bearer(token)) => Ok(Token(token)),
            Some(Credentials::Basic { .. }) => {
                let hash = users.password_hash(&caller.user).unwrap_or_default();
                let now = SystemTime::now();
                session::issue(&self.key, &caller.user, hash, now, self.token_lifetime).map(Token)
            }
            None => Err(Status::unauthenticated("log in: a handshake needs credentials")),
        }
    }

    async fn by_password(
        &self,
        users: &Users,
        name: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, Status> {
        let hash = users.password_hash(name);
        // Others at the address do not keep out who is known.
        let is_new = !hash.is_some_and(|hash| self.passwords.is_known(password, hash));
        if is_new {
            self.throttle.check(name, address, Instant::now())?;
        }
        let equal = self.passwords.are_equal(password, hash.unwrap_or(users.decoy())).await?;
        if is_new {
            // While it waited others may have used up what there was.
            self.throttle.check(name, address, Instant::now())?;
        }
        match users.caller(name).filter(|_| equal && hash.is_some()) {
            Some(caller) => {
                self.throttle.succeeded(name, address);
                Ok(caller)
            }
            None => {
                self.throttle.failed(name, address, Instant::now());
                Err(Status::unauthenticated("the user name or the password is wrong"))
            }
        }
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
        let caller = users.caller(&session.user).filter(|_| same_password).ok_or_else(unknown)?;
        Ok(caller.with_login(static_token::hash(token)))
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
        let auth = Authenticator::new(Some(users("secret")), Key::random().unwrap(), HOUR, None).unwrap();
        assert_eq!(&*auth.caller(&basic("ann", "secret"), None).await.unwrap().user, "ann");
        let mut seen = std::collections::HashSet::new();
        for (user, password) in [("ann", "wrong"), ("ann", ""), ("nobody", "secret"), ("bot", ""), ("", "")] {
            let status = auth.caller(&basic(user, password), None).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
            seen.insert(status.message().to_string());
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[tokio::test]
    async fn sessions_end_with_their_time_their_password_and_their_user() {
        let key = Key::random().unwrap();
        let hash_of_ann = users("secret");
        let auth = Authenticator::new(Some(hash_of_ann), key.clone(), HOUR, None).unwrap();
        let login = basic("ann", "secret");
        let caller = auth.caller(&login, None).await.unwrap();
        let bearer = headers(&format!("Bearer {}", auth.token(&caller, &login).unwrap().0));
        assert_eq!(&*auth.caller(&bearer, None).await.unwrap().user, "ann");
        assert_eq!(format!("Bearer {}", auth.token(&caller, &bearer).unwrap().0), bearer[AUTHORIZATION]);
        let new_password = Authenticator::new(Some(users("secret")), key.clone(), HOUR, None).unwrap();
        assert_eq!(new_password.caller(&bearer, None).await.unwrap_err().code(), Code::Unauthenticated);
        let other_key = Authenticator::new(Some(users("secret")), Key::random().unwrap(), HOUR, None).unwrap();
        assert_eq!(other_key.caller(&bearer, None).await.unwrap_err().code(), Code::Unauthenticated);
        let short = Authenticator::new(Some(users("secret")), key, Duration::ZERO, None).unwrap();
        let caller = short.caller(&login, None).await.unwrap();
        let bearer = headers(&format!("Bearer {}", short.token(&caller, &login).unwrap().0));
        let status = short.caller(&bearer, None).await.unwrap_err();
        assert_eq!((status.code(), status.message().contains("expired")), (Code::Unauthenticated, true));
    }

    #[tokio::test]
    async fn without_users_everybody_is_let_in() {
        let auth = Authenticator::new(None, Key::random().unwrap(), HOUR, None).unwrap();
        for headers in [HeaderMap::new(), headers("Bearer x"), headers("Digest x"), basic("ann", "x")] {
            let caller = auth.caller(&headers, None).await.unwrap();
            assert_eq!(auth.token(&caller, &headers).unwrap().0, "anonymous");
        }
    }

    #[tokio::test]
    async fn users_who_are_taken_out_are_out_with_their_tokens() {
        let (both, login) = (users("secret"), basic("ann", "secret"));
        let auth = Authenticator::new(Some(both), Key::random().unwrap(), HOUR, None).unwrap();
        let caller = auth.caller(&login, None).await.unwrap();
        let bearer = headers(&format!("Bearer {}", auth.token(&caller, &login).unwrap().0));
        let known = auth.caller(&bearer, None).await.unwrap();
        assert!(known.login().is_some() && caller.login().is_none());
        let token = StaticToken::random().unwrap();
        let text = format!("[users.bot]\ntokens = [{:?}]\nstores = {{}}", token.hash());
        auth.set_users(Users::parse(&text).unwrap());
        for gone in [&login, &bearer] {
            assert_eq!(auth.caller(gone, None).await.unwrap_err().code(), Code::Unauthenticated);
        }
        auth.caller(&headers(&format!("Bearer {}", token.secret())), None).await.unwrap();
    }

    #[tokio::test]
    async fn wrong_passwords_are_counted_and_known_ones_pass() {
        let auth = Authenticator::new(Some(users("secret")), Key::random().unwrap(), HOUR, Some(2)).unwrap();
        let address = Some("10.0.0.1".parse().unwrap());
        auth.caller(&basic("ann", "secret"), address).await.unwrap();
        for _ in 0..2 {
            let status = auth.caller(&basic("ann", "wrong"), address).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
        }
        let status = auth.caller(&basic("ann", "wrong"), address).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("try again in"), "{status}");
        auth.caller(&basic("ann", "secret"), address).await.unwrap();
        let elsewhere = auth.caller(&basic("ann", "wrong"), None).await.unwrap_err();
        assert_eq!(elsewhere.code(), Code::Unauthenticated);
    }
}

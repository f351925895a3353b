//! The users file.

use super::caller::{Caller, Role, Roles};
use super::{password, static_token};
use crate::server::ServeError;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The name that stands for every store that is not named.
const ALL_STORES: &str = "*";

/// The users of a server: how each logs in, and which stores each may read or write.
///
/// ```toml
/// [users.ann]
/// password = "$argon2id$v=19$m=19456,t=2,p=1$…"   # made by `atlas passwd`
/// stores = { "*" = "read", fleet = "write", drafts = "none" }
///
/// [users.dashboard]
/// tokens = ["sha256:…"]                           # made by `atlas token`
/// stores = { fleet = "read" }
/// ```
pub struct Users {
    by_name: HashMap<String, User>,
    /// The owners of static tokens, by the tokens' hashes.
    owners: HashMap<[u8; 32], String>,
    /// A hash that no password has, compared where there is no such user: it costs what a user's costs.
    decoy: String,
    /// The file, as it was when it was read.
    file: Option<(PathBuf, Stamp)>,
}

/// What tells whether a file has changed; the default of one that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    /// That of the file at `path`, now.
    pub(super) fn of(path: &Path) -> Self {
        let Ok(metadata) = std::fs::metadata(path) else { return Stamp::default() };
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode }
    }
}

/// A user.
struct User {
    password_hash: Option<String>,
    roles: Arc<Roles>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    password: Option<String>,
    #[serde(default)]
    tokens: Vec<String>,
    stores: BTreeMap<String, Role>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({} users)", self.by_name.len())
    }
}

impl Users {
    /// Reads a users file, which a server then looks at again whenever it changes.
    ///
    /// # Errors
    /// Where the file cannot be read, and where it is not one: the line, or the user, that is wrong.
    pub fn read(path: &Path) -> Result<Self, ServeError> {
        let shown = path.display();
        // A file that changes meanwhile is read again.
        let stamp = Stamp::of(path);
        let text = std::fs::read_to_string(path).map_err(|error| ServeError::new(format!("users {shown}: {error}")))?;
        let users = Self::parse(&text).map_err(|error| ServeError::new(format!("users {shown}: {error}")))?;
        Ok(Users { file: Some((path.to_path_buf(), stamp)), ..users })
    }

    /// The users that the text of a users file names.
    ///
    /// # Errors
    /// The line, or the user, that is wrong. Hashes are not repeated.
    pub fn parse(text: &str) -> Result<Self, ServeError> {
        let file: File = toml::from_str(text).map_err(|error| at_line(text, &error))?;
        if file.users.is_empty() {
            return Err(ServeError::new("there is no user: add [users.NAME]"));
        }
        let (mut by_name, mut owners) = (HashMap::new(), HashMap::new());
        let mut costliest = None;
        for (name, Entry { password, tokens, stores }) in file.users {
            let wrong = |what: &str| ServeError::new(format!("user {name:?}: {what}"));
            if name.is_empty() || name.contains(':') {
                return Err(wrong("a name has at least one character, and no colon"));
            }
            if password.is_none() && tokens.is_empty() {
                return Err(wrong("has neither a password nor tokens"));
            }
            if let Some(hash) = &password {
                let cost = password::cost_of(hash)
                    .ok_or_else(|| wrong("the password is not a hash as `atlas passwd` makes it ($argon2id$…)"))?;
                costliest = costliest.max(Some(cost));
            }
            for token in &tokens {
                let hash = static_token::parse_hash(token)
                    .ok_or_else(|| wrong("a token is not a hash as `atlas token` makes it (sha256:…)"))?;
                if let Some(other) = owners.insert(hash, name.clone()) {
                    return Err(wrong(&format!("a token is that of user {other:?}, too")));
                }
            }
            let others = stores.get(ALL_STORES).copied().unwrap_or_default();
            let by_store = stores.into_iter().filter(|(store, _)| store != ALL_STORES).collect();
            by_name.insert(name, User { password_hash: password, roles: Arc::new(Roles { by_store, others }) });
        }
        Ok(Users { by_name, owners, decoy: password::decoy(costliest)?, file: None })
    }

    /// The file that the users were read from, as it was then.
    pub(super) fn file(&self) -> Option<(PathBuf, Stamp)> {
        self.file.clone()
    }

    /// The names of stores for which users have roles of their own, to be compared with the stores that there are.
    pub(crate) fn named_stores(&self) -> impl Iterator<Item = &str> {
        self.by_name.values().flat_map(|user| user.roles.by_store.keys().map(String::as_str))
    }

    /// The caller that a user name stands for.
    pub(super) fn caller(&self, name: &str) -> Option<Caller> {
        self.by_name.get(name).map(|user| Caller::new(name, Arc::clone(&user.roles)))
    }

    /// The caller that a user name stands for, for tests of what callers see.
    #[cfg(test)]
    pub(crate) fn caller_named(&self, name: &str) -> Option<Caller> {
        self.caller(name)
    }

    /// The caller whose static token this is. Tokens are looked up by their hash: how long that takes tells nothing of them.
    pub(super) fn owner_of(&self, token: &str) -> Option<Caller> {
        self.owners.get(&static_token::hash(token)).and_then(|name| self.caller(name))
    }

    /// A user's password hash, if there is such a user and the user has one.
    pub(super) fn password_hash(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).and_then(|user| user.password_hash.as_deref())
    }

    /// The hash to compare with where there is none.
    pub(super) fn decoy(&self) -> &str {
        &self.decoy
    }
}

/// A syntax error with its line, and without the line's text, which may hold a hash.
fn at_line(text: &str, error: &toml::de::Error) -> ServeError {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => ServeError::new(format!("line {}: {message}", before.matches('\n').count() + 1)),
        None => ServeError::new(message),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::auth::StaticToken;

    #[test]
    fn users_log_in_by_name_or_token_and_have_their_roles() {
        let token = StaticToken::random().unwrap();
        let hash = password::hash_password("secret").unwrap();
        let text = format!(
            "[users.ann]\npassword = {hash:?}\nstores = {{ \"*\" = \"read\", fleet = \"write\", drafts = \"none\" }}\n\
             [users.dashboard]\ntokens = [{:?}]\nstores = {{ fleet = \"read\" }}\n",
            token.hash()
        );
        let users = Users::parse(&text).unwrap();
        let ann = users.caller("ann").unwrap();
        assert!(ann.may_read("any") && ann.check_write("fleet").is_ok() && !ann.may_read("drafts"));
        let dashboard = users.owner_of(token.secret()).unwrap();
        assert_eq!(&*dashboard.user, "dashboard");
        assert!(dashboard.may_read("fleet") && !dashboard.may_read("any"));
        assert!(users.owner_of("atlas_other").is_none() && users.caller("bob").is_none());
        assert_eq!(users.password_hash("ann"), Some(hash.as_str()));
        assert_eq!(users.password_hash("dashboard"), None);
        assert!(password::cost_of(users.decoy()).is_some());
        assert!(!format!("{users:?}").contains("argon2"));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line_without_hashes() {
        let hash = password::hash_password("secret").unwrap();
        let token = StaticToken::random().unwrap().hash();
        let entry = |name: &str, lines: &str| format!("[users.{name}]\n{lines}\nstores = {{}}\n");
        for (text, part) in [
            (String::new(), "users"),
            ("[users]".into(), "no user"),
            (entry("ann", ""), "neither"),
            (entry("ann", "password = \"secret\""), "atlas passwd"),
            (entry("ann", "tokens = [\"secret\"]"), "atlas token"),
            (entry("\"a:b\"", "tokens = []"), "colon"),
            (entry("ann", &format!("passwort = {hash:?}")), "line 2: unknown field"),
            (format!("[users.ann]\npassword = {hash:?}\nstores = {{ x = \"all\" }}\n"), "line 3: unknown variant"),
            (format!("[users.ann]\npassword = {hash:?}\n"), "missing field `stores`"),
            (entry("ann", &format!("tokens = [{token:?}, {token:?}]")), "too"),
            (format!("[users.ann\npassword = {hash:?}\n"), "line 1"),
        ] {
            let error = Users::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
            assert!(!error.contains("$argon2id$v") && !error.contains(&token) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Users::read(Path::new("/nowhere/users.toml")).unwrap_err().to_string();
        assert!(error.starts_with("users /nowhere/users.toml: "), "{error}");
    }
}

//! Stores on servers: addresses, credentials, connections.

use crate::cli::Failure;
use atlas_flight::client::{Address, Client, ConnectOptions};
use clap::Args;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variables that hold credentials: neither other users nor the shell's history see them.
const TOKEN: &str = "ATLAS_TOKEN";
const USER: &str = "ATLAS_USER";
const PASSWORD: &str = "ATLAS_PASSWORD";

/// Who asks a server, and which servers are trusted.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Where STORE is grpc://HOST:PORT/NAME, or grpc+tls://HOST:PORT/NAME")]
pub(crate) struct ServerFlags {
    /// Log in as this user, with the password in $ATLAS_PASSWORD, in --password-file, or asked for [default: $ATLAS_USER]
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    user: Option<String>,
    /// The password is the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
    /// The token is the first line of this file [default: $ATLAS_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificates (PEM) that vouch for the server; grpc+tls:// needs them
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Your own certificate (PEM), for a server that asks for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of your certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl ServerFlags {
    /// The server that a location names; `None` where it is that of a store.
    ///
    /// # Errors
    /// `Usage` for an address that is none, and for these flags with a store's own location.
    pub(crate) fn server(&self, location: &str) -> Result<Option<Address>, Failure> {
        if Address::is_one(location) {
            return Address::parse(location).map(Some).map_err(Failure::usage);
        }
        let given = [
            ("--user", self.user.is_some()),
            ("--password-file", self.password_file.is_some()),
            ("--token-file", self.token_file.is_some()),
            ("--tls-ca", self.tls_ca.is_some()),
            ("--tls-cert", self.tls_cert.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Failure::usage(format!("{flag} is for servers (grpc://…), and {location} is none"))),
            None => Ok(None),
        }
    }

    /// Connects to a server, as whom the flags and the environment say.
    ///
    /// # Errors
    /// `Failed` where a file cannot be read, nobody can be asked for the password, the server is not reached or not to be
    /// trusted, or the login is refused.
    pub(crate) async fn connect(&self, address: &Address) -> Result<Client, Failure> {
        if address.is_encrypted() && self.tls_ca.is_none() {
            let message = format!("{address}: --tls-ca FILE has to name the certificates that vouch for the server");
            return Err(Failure::usage(message));
        }
        let (login, token) = match self.credentials(address)? {
            Credentials::None => (None, None),
            Credentials::Login(user, password) => (Some((user, password)), None),
            Credentials::Token(token) => (None, Some(token)),
        };
        let identity_pem = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((text(certificate)?, text(key)?)),
            _ => None,
        };
        let options = ConnectOptions {
            login,
            token,
            identity_pem,
            server_ca_pem: self.tls_ca.as_deref().map(text).transpose()?,
            // Whatever the server's users have as a default: results look as those of a local store do.
            headers: vec![("array_format".into(), "tensor".into())],
        };
        Ok(Client::connect_to(address, &options).await?)
    }

    /// The login or the token, if there is one. What is typed counts more than the environment.
    fn credentials(&self, address: &Address) -> Result<Credentials, Failure> {
        if let Some(file) = &self.token_file {
            return Ok(Credentials::Token(first_line(file)?));
        }
        let of_environment = self.user.is_none() && self.password_file.is_none();
        if of_environment && let Some(token) = variable(TOKEN)? {
            return Ok(Credentials::Token(token));
        }
        let Some(user) = self.user.clone().map_or_else(|| variable(USER), |user| Ok(Some(user)))? else {
            return match self.password_file {
                Some(_) => Err(Failure::usage("--password-file needs --user NAME")),
                None => Ok(Credentials::None),
            };
        };
        let password = match (&self.password_file, variable(PASSWORD)?) {
            (Some(file), _) => first_line(file)?,
            (None, Some(password)) => password,
            (None, None) => ask(&user, address)?,
        };
        Ok(Credentials::Login(user, password))
    }
}

/// How a client says who it is.
enum Credentials {
    None,
    Login(String, String),
    Token(String),
}

fn ask(user: &str, address: &Address) -> Result<String, Failure> {
    let asked = rpassword::prompt_password(format!("Password of {user} at {address}: "));
    asked.map_err(|_| {
        Failure::failed(format!(
            "no terminal to ask for the password of {user}: use ${PASSWORD} or --password-file FILE"
        ))
    })
}

/// An environment variable that is set, and not to nothing.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::failed(format!("${name} is not UTF-8 text"))),
    }
}

fn text(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::file(file, &error))
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let text = text(file)?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::failed(format!("{}: its first line is empty", file.display()))),
    }
}

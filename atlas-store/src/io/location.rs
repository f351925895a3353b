//! The text that names a store's place, and the storage there.

use super::{LocalStorage, MemoryStorage, ObjectOptions, ObjectStorage, Storage};
use crate::error::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use url::Url;

const EXPECTED: &str = "expected a path, file:///path, s3://bucket/path, gs://bucket/path, az://container/path, https://host/path or \
     memory://name";

/// The storage at a location, with [`ObjectOptions::from_env`].
///
/// | location | storage | credentials, the first that the environment has |
/// |---|---|---|
/// | a path, `file:///path` | local files | |
/// | `s3://bucket/path` | Amazon S3 and what speaks its protocol | `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`); `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`; the role of the container (`AWS_CONTAINER_CREDENTIALS_…`); the role of the machine |
/// | `gs://bucket/path` | Google Cloud Storage | `GOOGLE_SERVICE_ACCOUNT` (a key's file) or `GOOGLE_SERVICE_ACCOUNT_KEY` (the key itself); `GOOGLE_APPLICATION_CREDENTIALS` (a file), else what `gcloud auth application-default login` left at home; the machine's account |
/// | `az://container/path`, `abfss://container@account.dfs.core.windows.net/path` | Azure Blob Storage | `AZURE_STORAGE_TOKEN`; `AZURE_STORAGE_ACCOUNT_KEY`; `AZURE_CLIENT_ID` with `AZURE_TENANT_ID` and `AZURE_FEDERATED_TOKEN_FILE` or `AZURE_CLIENT_SECRET`; `AZURE_STORAGE_SAS_TOKEN`; `AZURE_USE_AZURE_CLI=true`; the managed identity. The account of `az://` is `AZURE_STORAGE_ACCOUNT_NAME` |
/// | `https://host/path`, `http://host/path` | a web server that answers ranges; read-only | |
/// | `memory://name` | memory of this process, the same for the same name | |
///
/// `ATLAS_REQUESTS` is how many requests are under way at a time, for each storage (16). For S3, Google and Azure the
/// variables that begin with `AWS_`, `GOOGLE_` and `AZURE_` and that end as the keys of `object_store` do are read too:
///
/// - where the service is: `AWS_REGION`, `AWS_ENDPOINT_URL`, `GOOGLE_BASE_URL`, `AZURE_STORAGE_ENDPOINT`. Plain HTTP is
///   refused without `AWS_ALLOW_HTTP=true`, `AZURE_ALLOW_HTTP=true`;
/// - buckets that anybody may read: `AWS_SKIP_SIGNATURE=true`, and so for the others;
/// - how long a request may take, its body included: `AWS_TIMEOUT=2m` (30 s). Writes send parts of 8 MiB, four at a time.
///
/// Profiles and files in `~/.aws` are not read, nor are connection strings of Azure.
///
/// Uploads in parts that were cut off, by a kill or a lost network, may leave their parts behind, which cost storage and are
/// in no listing: give the bucket a lifecycle rule that aborts incomplete uploads after a day. (Azure drops them after a
/// week by itself.)
///
/// # Errors
/// `InvalidArgument` where the location is none of these, or `ATLAS_REQUESTS` is not a number.
pub fn storage_at(location: &str) -> Result<Arc<dyn Storage>> {
    storage_with(location, &ObjectOptions::from_env()?)
}

/// As [`storage_at`], with options.
///
/// # Errors
/// As [`storage_at`].
pub fn storage_with(location: &str, options: &ObjectOptions) -> Result<Arc<dyn Storage>> {
    let Some((scheme, rest)) = location.split_once("://") else {
        return local(location);
    };
    let retry = options.retry.clone();
    match scheme.to_ascii_lowercase().as_str() {
        "file" => local(&file_path(location)?),
        "memory" => memory(rest),
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_url(location).with_retry(retry);
            remote(location, options, builder.build())
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(location).with_retry(retry);
            remote(location, options, builder.build())
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(location).with_retry(retry);
            remote(location, options, builder.build())
        }
        "http" | "https" => web(location, options),
        _ => Err(Error::invalid(format!("storage {scheme}:// is not supported: {EXPECTED}"))),
    }
}

fn local(path: &str) -> Result<Arc<dyn Storage>> {
    if path.is_empty() {
        return Err(Error::invalid(format!("the store's location is empty: {EXPECTED}")));
    }
    Ok(Arc::new(LocalStorage::new(path)))
}

/// The URL, of which no part would be passed over in silence. Passwords and signatures would end up in messages and
/// logs: they are not taken, nor repeated.
fn parse(location: &str) -> Result<Url> {
    let url = Url::parse(location).map_err(|error| Error::invalid(format!("{location} is not a URL: {error}")))?;
    if url.password().is_some() {
        return Err(Error::invalid(format!("a {}:// location has no password in it", url.scheme())));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let path = location.split(['?', '#']).next().unwrap_or_default();
        return Err(Error::invalid(format!("{path} is followed by ? or #: in a path they are written %3F and %23")));
    }
    Ok(url)
}

fn file_path(location: &str) -> Result<String> {
    let path = parse(location)?.to_file_path().ok().and_then(|path| path.into_os_string().into_string().ok());
    path.ok_or_else(|| Error::invalid(format!("{location} is not a local file: expected file:///absolute/path")))
}

fn memory(name: &str) -> Result<Arc<dyn Storage>> {
    static NAMED: LazyLock<Mutex<HashMap<String, MemoryStorage>>> = LazyLock::new(Mutex::default);
    if name.is_empty() {
        return Err(Error::invalid("the store in memory has no name: expected memory://name"));
    }
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    let storage = named.entry(name.into()).or_insert_with(|| MemoryStorage::new().named(&format!("memory://{name}")));
    Ok(Arc::new(storage.clone()))
}

fn remote<S: ObjectStore>(
    location: &str,
    options: &ObjectOptions,
    store: object_store::Result<S>,
) -> Result<Arc<dyn Storage>> {
    let url = parse(location)?;
    let bad = |error: &dyn std::fmt::Display| Error::invalid(format!("storage {location}: {error}"));
    let store = store.map_err(|error| bad(&error))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| bad(&error))?;
    let storage = ObjectStorage::with_options(Arc::new(store), prefix.as_ref(), options)?;
    Ok(Arc::new(storage.named(location.trim_end_matches('/'))))
}

fn web(location: &str, options: &ObjectOptions) -> Result<Arc<dyn Storage>> {
    let url = parse(location)?;
    let client = ClientOptions::new().with_allow_http(url.scheme() == "http");
    let builder = HttpBuilder::new()
        .with_url(location.trim_end_matches('/'))
        .with_client_options(client)
        .with_retry(options.retry.clone());
    let store = builder.build().map_err(|error| Error::invalid(format!("storage {location}: {error}")))?;
    let storage = ObjectStorage::with_options(Arc::new(store), "", options)?;
    // Few servers list (WebDAV), and they name objects by other paths than these.
    Ok(Arc::new(storage.named(url.as_str().trim_end_matches('/')).read_only().unlisted()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::storage_at;
    use crate::error::ErrorKind;

    fn place(location: &str) -> String {
        storage_at(location).unwrap().location()
    }

    #[test]
    fn a_location_is_a_path_or_a_url() {
        assert_eq!(place("data/fleet"), "data/fleet");
        assert_eq!(place("file:///data/a%20b"), "/data/a b");
        assert_eq!(place("FILE:///data/ä"), "/data/ä");
        assert_eq!(place("s3://bucket/some/prefix/"), "s3://bucket/some/prefix");
        assert_eq!(place("s3://bucket"), "s3://bucket");
        assert_eq!(place("http://localhost:1/x/"), "http://localhost:1/x");
        assert!(storage_at("s3://bucket/x").unwrap().is_shared());
        assert!(!storage_at("memory://x").unwrap().is_shared());
    }

    #[test]
    fn what_is_no_location_is_told_in_one_line_that_names_the_ones_there_are() {
        let bad = [
            ("", "s3://bucket/path"),
            ("ftp://host/x", "s3://bucket/path"),
            ("file://relative/x", "file:///absolute/path"),
            ("file:///a#b", "%23"),
            ("s3://bucket/a?b", "%3F"),
            ("s3:///x", "s3:///x"),
            ("memory://", "memory://name"),
            ("http://", "http://"),
            ("abfss://c@elsewhere.example/x", "elsewhere.example"),
        ];
        for (location, words) in bad {
            let error = storage_at(location).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{location}: {text}");
            assert!(text.contains(words) && !text.contains('\n'), "{location}: {text}");
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        for location in ["http://someone:secret@host/x", "http://host/x?signature=secret", "az://container/x?secret"] {
            let text = storage_at(location).unwrap_err().to_string();
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_name_in_memory_is_one_place() {
        let first = storage_at("memory://one place").unwrap();
        first.create("x").unwrap().finish().unwrap();
        assert!(storage_at("memory://one place").unwrap().get("x").unwrap().is_some());
        assert_eq!(first.location(), "memory://one place");
        let _lock = first.lock().unwrap();
        let told = storage_at("MEMORY://one place").unwrap().lock().unwrap_err().to_string();
        assert!(told.contains("memory://one place"), "{told}");
        assert!(storage_at("memory://another").unwrap().get("x").unwrap().is_none());
    }
}

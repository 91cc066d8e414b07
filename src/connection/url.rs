//! `mysql://user:password@host:port/database?ssl-mode=…`, as `TIDB_URL` and layers of settings have it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::config::{ConnectionConfig, ConnectionOptions, Tls};

const DEFAULT_PORT: u16 = 4000;

/// What an URL says.
#[derive(Debug, Clone)]
pub struct UrlTarget {
    /// Host, port, user, password and database.
    pub config: ConnectionConfig,
    /// How to encrypt.
    pub options: ConnectionOptions,
}

/// Shows user, host and port; never the password.
impl fmt::Display for UrlTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionConfig {
            username, host, port, ..
        } = &self.config;
        write!(f, "mysql://{username}@{host}:{port}")
    }
}

/// Why an URL can't be used. The text never repeats a part that could hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an URL at all.
    #[error("it is no URL ({reason}); it looks like mysql://user:password@host:4000/")]
    Syntax {
        /// What the parser said.
        reason: String,
    },
    /// Not MySQL's protocol.
    #[error("its scheme is `{scheme}`; only `mysql` is known: mysql://user:password@host:4000/")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// No host.
    #[error("it names no host: mysql://user:password@host:4000/")]
    NoHost,
    /// A character that must be percent-encoded stands as it is.
    #[error(
        "it holds `{character}` where none is expected; in a user, password or database name write {encoded}"
    )]
    Unencoded {
        /// The character.
        character: char,
        /// Its percent-encoding.
        encoded: &'static str,
    },
    /// Percent-encoding that is no UTF-8.
    #[error("its {part} is not UTF-8 after percent-decoding")]
    NotUtf8 {
        /// The part of the URL.
        part: &'static str,
    },
    /// More than one path segment.
    #[error("its path has more than one segment; after the host only a database name may stand")]
    Path,
    /// A query key that nobody knows.
    #[error("it has the unknown key `{key}`; known are `ssl-mode` and `ssl-ca`")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key that stands twice.
    #[error("it says `{key}` twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// A TLS mode that nobody knows.
    #[error(
        "its ssl-mode is `{given}`; known are `disabled`, `preferred`, `required`, `verify-ca` and `verify-identity`"
    )]
    SslMode {
        /// What it was.
        given: String,
    },
    /// Two statements on TLS that exclude each other.
    #[error("a CA is given (ssl-ca or TIDB_URL_CA), and ssl-mode says `disabled`")]
    CaWithoutTls,
    /// Two CAs.
    #[error("its ssl-ca and TIDB_URL_CA name different files")]
    TwoCas,
}

impl UrlTarget {
    /// Reads a URL; `ca` is a CA file that was given beside it.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str, ca: Option<&Path>) -> Result<Self, UrlError> {
        let url = url::Url::parse(text).map_err(|error| UrlError::Syntax {
            reason: error.to_string(),
        })?;
        if url.scheme() != "mysql" {
            // `localhost:4000` parses as scheme `localhost`; a scheme holds no password.
            return Err(UrlError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        if url.fragment().is_some() {
            return Err(UrlError::Unencoded {
                character: '#',
                encoded: "%23",
            });
        }
        // A password with a bare `/` or `?` ends the authority early and leaves its `@` behind.
        if url.path().contains('@') || url.query().is_some_and(|query| query.contains('@')) {
            return Err(UrlError::Unencoded {
                character: '@',
                encoded: "%40 (and %2F for /, %3F for ?)",
            });
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) if !name.is_empty() => decode(name, "host")?,
            Some(url::Host::Domain(_)) | None => return Err(UrlError::NoHost),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
        };
        let username = match url.username() {
            "" => "root".to_owned(),
            name => decode(name, "user")?,
        };
        let password = decode(url.password().unwrap_or_default(), "password")?;
        let database = match url.path().trim_start_matches('/') {
            "" => None,
            path if path.contains('/') => return Err(UrlError::Path),
            name => Some(decode(name, "database")?),
        };
        Ok(Self {
            config: ConnectionConfig {
                id: "url".to_owned(),
                host,
                port: url.port().unwrap_or(DEFAULT_PORT),
                username,
                password,
                database,
            },
            options: ConnectionOptions {
                tls: tls(&url, ca)?,
                ..ConnectionOptions::default()
            },
        })
    }
}

fn tls(url: &url::Url, ca: Option<&Path>) -> Result<Tls, UrlError> {
    let (mut mode, mut file) = (None, None);
    for (key, value) in url.query_pairs() {
        let (slot, key) = match key.replace('_', "-").as_str() {
            "ssl-mode" | "sslmode" => (&mut mode, "ssl-mode"),
            "ssl-ca" => (&mut file, "ssl-ca"),
            other => {
                return Err(UrlError::UnknownKey {
                    key: other.to_owned(),
                });
            }
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(UrlError::Twice { key });
        }
    }
    let ca = match (file.map(PathBuf::from), ca) {
        (Some(one), Some(other)) if one != other => return Err(UrlError::TwoCas),
        (Some(one), _) => Some(one),
        (None, other) => other.map(Path::to_path_buf),
    };
    let Some(mode) = mode else {
        return Ok(ca.map_or(Tls::Auto, |ca| Tls::Verified { ca: Some(ca) }));
    };
    match mode.to_ascii_lowercase().replace('_', "-").as_str() {
        "disabled" if ca.is_some() => Err(UrlError::CaWithoutTls),
        "disabled" => Ok(Tls::Off),
        "preferred" if ca.is_none() => Ok(Tls::Auto),
        // An encrypted connection to an unknown host protects nothing, so the host is always verified.
        "preferred" | "required" | "verify-ca" | "verify-identity" => Ok(Tls::Verified { ca }),
        _ => Err(UrlError::SslMode { given: mode }),
    }
}

/// Percent-decodes one part, as the `url` crate does it for query values (but `+` stays `+`).
fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = after.get(..2).and_then(|digits| hex::decode(digits).ok());
        if let (b'%', Some(&[byte])) = (first, encoded.as_deref()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| UrlError::NotUtf8 { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = UrlTarget::parse(text, None).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        error
    }

    fn good(text: &str) -> (String, ConnectionConfig, Tls) {
        let target = UrlTarget::parse(text, None).unwrap();
        (target.to_string(), target.config, target.options.tls)
    }

    #[test]
    fn bad_urls_are_refused_without_their_password() {
        for (text, want) in [
            ("", "it is no URL (relative URL without a base)"),
            ("root:s3cret@localhost:4000", "its scheme is `root`"),
            ("localhost:4000", "its scheme is `localhost`"),
            ("postgres://root:s3cret@localhost/", "its scheme is `postgres`"),
            ("mysql://root:s3cret@/", "it is no URL"),
            ("mysql:///test", "it names no host"),
            (
                "mysql://root:s3cret@host:port/",
                "it is no URL (invalid port number)",
            ),
            (
                "mysql://root:s3cret@host:99999/",
                "it is no URL (invalid port number)",
            ),
            ("mysql://root:1#s3cret@host/", "it holds `#`"),
            ("mysql://root:1/s3cret@host/", "it holds `@`"),
            ("mysql://root:1?s3cret@host/", "it holds `@`"),
            ("mysql://host/a/b", "its path has more than one segment"),
            ("mysql://host/?sslmod=1", "it has the unknown key `sslmod`"),
            ("mysql://host/?charset=utf8", "it has the unknown key `charset`"),
            ("mysql://host/?ssl-mode=on", "its ssl-mode is `on`"),
            (
                "mysql://host/?ssl-mode=disabled&ssl_mode=required",
                "it says `ssl-mode` twice",
            ),
            ("mysql://host/?ssl-mode=disabled&ssl-ca=/ca.pem", "a CA is given"),
            ("mysql://root:%ff@host/", "its password is not UTF-8"),
        ] {
            let got = error(text);
            assert!(got.starts_with(want), "{text}: {got}");
        }
    }

    #[test]
    fn parts_are_decoded_and_the_password_is_not_shown() {
        let (shown, config, tls) = good("mysql://us%40er:p%40%2F%23%25+@db.example.com:4001/my%20db");
        assert_eq!(shown, "mysql://us@er@db.example.com:4001");
        assert_eq!(config.username, "us@er");
        assert_eq!(config.password, "p@/#%+");
        assert_eq!(config.database.as_deref(), Some("my db"));
        assert_eq!(tls, Tls::Auto);
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let (shown, config, _) = good("mysql://127.0.0.1");
        assert_eq!(shown, "mysql://root@127.0.0.1:4000");
        assert_eq!((config.password.as_str(), config.database), ("", None));
        assert_eq!(good("mysql://root@[::1]:1/").1.host, "::1");
    }

    #[test]
    fn tls_by_query_key_and_by_ca() {
        let verified = |ca: Option<&str>| Tls::Verified {
            ca: ca.map(PathBuf::from),
        };
        assert_eq!(good("mysql://h/?ssl-mode=DISABLED").2, Tls::Off);
        assert_eq!(good("mysql://h/?ssl_mode=VERIFY_IDENTITY").2, verified(None));
        assert_eq!(
            good("mysql://h/?ssl_ca=%2Fa%20b.pem").2,
            verified(Some("/a b.pem"))
        );
        let by_variable = UrlTarget::parse("mysql://h/", Some(Path::new("/ca.pem"))).unwrap();
        assert_eq!(by_variable.options.tls, verified(Some("/ca.pem")));
        let both = UrlTarget::parse("mysql://h/?ssl-ca=/x.pem", Some(Path::new("/ca.pem")));
        assert_eq!(both.unwrap_err(), UrlError::TwoCas);
    }
}

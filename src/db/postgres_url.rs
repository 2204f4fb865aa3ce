//! PostgreSQL URLs as libpq reads them, as far as the driver supports them.
//!
//! This module corrects the driver's own parser, which keeps the brackets of an IPv6 address, and reads a list of hosts as one
//! name. That parser also refuses an empty host, for which libpq uses a local socket. It logs the values of unknown parameters.

use std::net::IpAddr;

use sqlx::postgres::PgConnectOptions;
use url::{Url, form_urlencoded};

use super::InvalidDatabaseUrl;

/// The parameters that the driver knows, besides `options[NAME]`.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The driver's options for a URL that begins with `postgres://` or `postgresql://`.
pub(super) fn options(text: &str) -> Result<PgConnectOptions, InvalidDatabaseUrl> {
    parse(text).map(|(options, _)| options)
}

/// The driver's options, and the names of the parameters that are unknown and ignored.
pub(super) fn parse(text: &str) -> Result<(PgConnectOptions, Vec<String>), InvalidDatabaseUrl> {
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, host) = authority.split_at(host_at);
    one_host(host)?;
    let without_host = host.is_empty() || host.starts_with(':');
    let written =
        if without_host { format!("{scheme}://{user}localhost{host}{path}") } else { text.to_owned() };
    let mut url = Url::parse(&written).map_err(|error| {
        InvalidDatabaseUrl::new(format!(
            "a database URL is postgres://USER:PASSWORD@HOST/NAME, and characters such as / ? # @ in a password are written \
             as %2F %3F %23 %40: {error}"
        ))
    })?;

    let mut known = form_urlencoded::Serializer::new(String::new());
    let (mut names_host, mut unused) = (false, Vec::new());
    for (name, value) in url.query_pairs() {
        if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            unused.push(name.into_owned());
        } else if !value.is_empty() {
            let value = if name == "host" { without_brackets(&value) } else { &value };
            check(&name, value)?;
            names_host |= name == "host" || name == "hostaddr";
            known.append_pair(&name, value);
        }
    }
    // The driver decodes `%20` everywhere, but `+` only in some values.
    let known = known.finish().replace('+', "%20");
    url.set_query(Some(&known));
    let options: PgConnectOptions = url
        .as_str()
        .parse()
        .map_err(|error| InvalidDatabaseUrl::new(format!("in the database URL: {error}")))?;
    let host = if without_host && !names_host {
        PgConnectOptions::new_without_pgpass().get_host().to_owned()
    } else {
        without_brackets(options.get_host()).to_owned()
    };
    Ok((options.host(&host), unused))
}

/// Whether the host is a Unix socket or a loopback address.
pub(super) fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn check(name: &str, value: &str) -> Result<(), InvalidDatabaseUrl> {
    match name {
        "host" | "hostaddr" if value.starts_with('@') => Err(InvalidDatabaseUrl::new(
            "the database URL names a socket in the abstract namespace (@...), which is not supported: name its directory",
        )),
        "host" | "hostaddr" => one_host(value),
        "port" if value.contains(',') => one_host(value),
        "port" => value.parse::<u16>().map(drop).map_err(|_| {
            InvalidDatabaseUrl::new("port= in the database URL is no port, which is a number up to 65535")
        }),
        _ => Ok(()),
    }
}

fn one_host(hosts: &str) -> Result<(), InvalidDatabaseUrl> {
    if hosts.contains(',') {
        return Err(InvalidDatabaseUrl::new(
            "the database URL names several hosts, and one can be used: give them one name, or put a proxy before them",
        ));
    }
    Ok(())
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{is_local, options, parse};

    #[test]
    fn parse_libpq_url_form_gives_its_host_and_port() {
        for (url, host, socket, port) in [
            ("postgres://u:p@db.example/a", "db.example", None, 5432),
            ("postgresql://u:p@10.0.0.1:5433/a", "10.0.0.1", None, 5433),
            ("postgres://u:p@[::1]:5433/a", "::1", None, 5433),
            ("postgres://u:p@[2001:db8::5]/a", "2001:db8::5", None, 5432),
            ("postgres:///a?host=::1", "::1", None, 5432),
            ("postgres:///a?host=[::1]&port=5433", "::1", None, 5433),
            ("postgres://u@db.example/a?host=other.example", "other.example", None, 5432),
            ("postgres://u@db.example/a?host=&port=", "db.example", None, 5432),
            ("postgres://u@db.example/a?hostaddr=10.0.0.1", "10.0.0.1", None, 5432),
            ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/a", "", Some("/var/run/postgresql"), 5432),
            ("postgres://u:p@%2frun%2fpg:5433/a", "", Some("/run/pg"), 5433),
            ("postgres:///a?host=/var/run/postgresql", "", Some("/var/run/postgresql"), 5432),
            ("postgres://u:p@/a?host=/run/a%20b&port=5433", "", Some("/run/a b"), 5433),
            ("postgres://u:p@/a?host=/run/a+b", "", Some("/run/a b"), 5432),
            ("postgres://u:p@:5433/a?host=/run/pg", "", Some("/run/pg"), 5433),
            ("postgres:///a?host=%2Frun%2Fpg", "", Some("/run/pg"), 5432),
            ("postgres://u:p@localhost/a?host=/run/pg&connect_timeout=5", "", Some("/run/pg"), 5432),
        ] {
            let options = options(url).unwrap();
            let found = options.get_socket().map(|path| path.to_str().unwrap());
            assert_eq!((found, options.get_port()), (socket, port), "{url}");
            assert!(socket.is_some() || options.get_host() == host, "{url}: {}", options.get_host());
        }
    }

    #[test]
    fn parse_unknown_parameter_is_reported_and_ignored() {
        let (options, unused) =
            parse("postgres://u:p@a/b?connect_timeout=5&port=5433&passwd=secret").unwrap();
        assert_eq!(
            (options.get_port(), unused),
            (5433, vec!["connect_timeout".to_owned(), "passwd".to_owned()])
        );
    }

    #[test]
    fn is_local_without_host_is_true() {
        for url in [
            "postgres:///a",
            "postgres://u@/a",
            "postgres://u:p@:5433/a",
            "postgres://:5433/a",
            "postgres://",
        ] {
            assert!(is_local(&options(url).unwrap()), "{url}");
        }
        for (url, local) in [
            ("postgres://localhost/a", true),
            ("postgres://[::1]/a", true),
            ("postgres://127.0.0.9/a", true),
            ("postgres://u@/a?host=/run/pg", true),
            ("postgres://10.0.0.1/a", false),
            ("postgres:///a?host=db.example", false),
        ] {
            assert_eq!(is_local(&options(url).unwrap()), local, "{url}");
        }
    }

    #[test]
    fn parse_unusable_url_is_refused_with_reason_and_without_password() {
        for (url, reason) in [
            ("postgres://u:secret@a,b/c", "several hosts"),
            ("postgres://u:secret@a:1,b:2/c", "several hosts"),
            ("postgres://u:secret@/c?host=a,b", "several hosts"),
            ("postgres://u:secret@/c?hostaddr=10.0.0.1,10.0.0.2", "several hosts"),
            ("postgres://u:secret@a/c?port=1,2", "several hosts"),
            ("postgres://u:secret@/c?host=@socket", "abstract"),
            ("postgres://u:secret@a/c?port=many", "port="),
            ("postgres://u:secret@a:many/c", "invalid port"),
            ("postgres://u:sec/ret@a/c", "%2F"),
            ("postgres://u:secret@[::1/c", "IPv6"),
            ("postgres://u:secret@a/c?sslmode=sometimes", "ssl_mode"),
            ("postgres://u:secret@a/c?hostaddr=db.example", "IP address"),
        ] {
            let error = options(url).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("sec"), "{url}: {error}");
        }
    }
}

//! Who may use the API.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::problems::Refusal;

/// A secret that allows to change the run. It is never shown.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// The token, without white space around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        Some(text.trim()).filter(|text| !text.is_empty()).map(|text| Self(text.into()))
    }

    /// Takes the same time for every guess of the same length.
    fn is(&self, guess: &str) -> bool {
        self.0.as_bytes().ct_eq(guess.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a listener allows.
#[derive(Debug, Clone)]
pub enum Access {
    /// A Unix socket: whoever may open it may do everything.
    Socket,
    /// An address. Without a token nothing can be changed through it.
    Address {
        /// What allows to change the run, and to read it from another host.
        token: Option<Token>,
        /// Whether the address is this host's own, so that reading needs no token.
        is_loopback: bool,
    },
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What the run is doing.
    State,
    /// Names of keys.
    Keys,
    /// Something of it is changed.
    Change,
}

impl Wanted {
    fn of(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD if path.ends_with("/differences") => Self::Keys,
            Method::GET | Method::HEAD => Self::State,
            _ => Self::Change,
        }
    }
}

const REFUSED: StatusCode = StatusCode::FORBIDDEN;

impl Access {
    /// Whether a request is refused, and why.
    pub(super) fn refusal(&self, wanted: Wanted, headers: &HeaderMap) -> Option<Refusal> {
        let Self::Address { token, is_loopback } = self else { return None };
        if let Some(refusal) = of_other_origin(headers, *is_loopback) {
            return Some(refusal);
        }
        if wanted == Wanted::State && *is_loopback {
            return None;
        }
        let Some(token) = token else {
            let message = "this address only answers questions of this host, because the run has no token";
            let refusal = Refusal::new(REFUSED, "no-token", message);
            return Some(
                refusal
                    .with_action("use the socket in the state directory, or start with --control-token-file"),
            );
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match given.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(guess) if token.is(guess) => None,
            Some(_) => {
                Some(Refusal::new(StatusCode::UNAUTHORIZED, "wrong-token", "the token is not the run's"))
            }
            None => Some(
                Refusal::new(StatusCode::UNAUTHORIZED, "token-needed", "this needs the run's token")
                    .with_action("send it as `Authorization: Bearer TOKEN`"),
            ),
        }
    }
}

/// A page of another site must not use the browser of somebody who may, not even under a name that it has made to point here.
fn of_other_origin(headers: &HeaderMap, is_loopback: bool) -> Option<Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST);
    let origin = text(header::ORIGIN);
    let is_foreign = origin.is_some_and(|origin| origin.split_once("://").map(|(_, rest)| rest) != host);
    let is_renamed = is_loopback && host.is_some_and(|host| !names_loopback(host));
    let is_cross_site = text("sec-fetch-site".parse().ok()?).is_some_and(|site| site == "cross-site");
    (is_foreign || is_renamed || is_cross_site)
        .then(|| Refusal::new(REFUSED, "other-origin", "requests of other origins are refused"))
}

/// `127.0.0.1:9090`, `localhost:9090`, `[::1]:9090`, with a port or without.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses what is not allowed, and bodies that are not JSON.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    if let Some(refusal) =
        access.refusal(Wanted::of(request.method(), request.uri().path()), request.headers())
    {
        return refusal.into_response();
    }
    let content = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json =
        content.is_none_or(|content| content.split(';').next().map(str::trim) == Some("application/json"));
    if *request.method() == Method::POST && !is_json {
        return Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "the body has to be JSON")
            .into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(access: &Access, method: &Method, headers: &[(&'static str, &str)]) -> Option<String> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        access.refusal(Wanted::of(method, "/api/v1/status"), &headers).map(|refusal| refusal.problem.id)
    }

    #[test]
    fn who_may_do_what() {
        let token = Token::new(" s3cret\n");
        let local = Access::Address { token: token.clone(), is_loopback: true };
        let open = Access::Address { token: None, is_loopback: true };
        let remote = Access::Address { token, is_loopback: false };
        let right = ("authorization", "Bearer s3cret");
        for (access, method, headers, expected) in [
            (&Access::Socket, Method::POST, &[][..], None),
            (&Access::Socket, Method::POST, &[("origin", "http://evil")], None),
            (&local, Method::GET, &[], None),
            (&local, Method::POST, &[], Some("token-needed")),
            (&local, Method::POST, &[("authorization", "Bearer wrong")], Some("wrong-token")),
            (&local, Method::POST, &[("authorization", "Basic s3cret")], Some("token-needed")),
            (&local, Method::POST, &[right], None),
            (
                &local,
                Method::POST,
                &[right, ("host", "127.0.0.1:9"), ("origin", "http://evil")],
                Some("other-origin"),
            ),
            (&local, Method::POST, &[right, ("host", "127.0.0.1:9"), ("origin", "http://127.0.0.1:9")], None),
            (&local, Method::GET, &[("host", "evil.example:9")], Some("other-origin")),
            (&local, Method::GET, &[("host", "localhost:9")], None),
            (&local, Method::GET, &[("host", "[::1]:9")], None),
            (&local, Method::GET, &[("sec-fetch-site", "cross-site")], Some("other-origin")),
            (&open, Method::GET, &[], None),
            (&open, Method::POST, &[right], Some("no-token")),
            (&remote, Method::GET, &[], Some("token-needed")),
            (&remote, Method::GET, &[right, ("host", "db.example:9")], None),
        ] {
            assert_eq!(id(access, &method, headers).as_deref(), expected, "{access:?} {method} {headers:?}");
        }
        let names = |access: &Access| {
            access.refusal(Wanted::of(&Method::GET, "/api/v1/checks/differences"), &HeaderMap::new())
        };
        assert_eq!(names(&local).map(|refusal| refusal.problem.id).as_deref(), Some("token-needed"));
        assert!(names(&Access::Socket).is_none());
        assert!(Token::new("\n").is_none());
        assert_eq!(format!("{local:?}").find("s3cret"), None);
    }
}

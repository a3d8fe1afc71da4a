//! The limit on everything: requests by address and route (spec §10). Probes and scrapes are not counted, and what
//! another node passes on was counted there.

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::concurrency::is_probe;
use crate::http::edge::{Connection, Edge};
use crate::http::error::ApiError;
use crate::http::extract::{ClientInfo, client_info};
use crate::http::forward;
use crate::service::{Code, RateLimit};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The headers in which limits are told.
pub(in crate::http) const HEADERS: [HeaderName; 3] = [LIMIT, REMAINING, RESET];

pub(in crate::http) async fn limit(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let passed_on = request.extensions().get::<forward::Once>().is_some();
    if passed_on || is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    // The pattern, not the path: nobody makes counters by inventing paths.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let ip = ClientInfo::of(request.extensions()).ip;
    let through = unnamed_proxy(&edge, &request);
    let response = match edge.limits().pass(ip, route).await {
        Ok(standing) => {
            let mut response = next.run(request).await;
            if let Some(standing) = standing {
                tell(response.headers_mut(), &standing);
            }
            response
        }
        Err(error) => ApiError::from(error).into_response(),
    };
    let error = response.extensions().get::<ApiError>().map(|error| error.service().code());
    if let (Some(peer), Some(Code::TooManyRequests)) = (through, error)
        && edge.tell_of_proxy()
    {
        tracing::warn!(
            %peer,
            "a request that was refused by a rate limit came through a proxy that TRUSTED_PROXIES does not name: all \
             that come through it count as one address"
        );
    }
    response
}

/// The peer, where it says to speak for somebody else and is not believed.
fn unnamed_proxy(edge: &Edge, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Connection>()?.peer.ip().to_canonical();
    let speaks_for_others = request.headers().contains_key(client_info::FORWARDED_FOR);
    (speaks_for_others && !edge.settings().trusted_proxies.contains(peer)).then_some(peer)
}

/// Writes where a limit stands.
pub(in crate::http) fn tell(headers: &mut HeaderMap, standing: &RateLimit) {
    headers.insert(LIMIT, HeaderValue::from(standing.limit));
    headers.insert(REMAINING, HeaderValue::from(standing.remaining));
    headers.insert(RESET, HeaderValue::from(super::render::seconds(standing.reset)));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use hellojohn_control::Timestamp;

    use crate::config::{Inputs, load};
    use crate::domain::clock::ManualClock;
    use crate::http::forward;
    use crate::http::testing::{edge_limited, request, send};
    use crate::http::{Auth, Plane, Surface, Verb};
    use crate::service::limits::Limits;

    fn router(max: &str) -> Router {
        let env = [
            ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
            ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ("RATE_MAX_REQUESTS", max),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = load(&Inputs { env, ..Inputs::default() }).unwrap().config;
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let limits = Limits::new(&config, Arc::new(clock)).unwrap();
        let get = |surface: Surface<()>, path| {
            surface.route(Verb::Get, path, Plane::User, Auth::Public, async || "a")
        };
        ["/a", "/livez", "/readyz", "/metrics"]
            .into_iter()
            .fold(Surface::new(), get)
            .into_router(&edge_limited(limits), ())
            .unwrap()
    }

    /// A load balancer and Prometheus ask again and again.
    #[tokio::test]
    async fn probes_and_scrapes_are_not_limited() {
        let router = router("1");
        assert_eq!(send(&router, request("GET", "/a", &[], "")).await.status, 200);
        assert_eq!(send(&router, request("GET", "/a", &[], "")).await.status, 429);
        for path in ["/livez", "/readyz", "/metrics"] {
            for _ in 0..10 {
                let answer = send(&router, request("GET", path, &[], "")).await;
                assert_eq!((answer.status.as_u16(), answer.header("ratelimit-limit")), (200, None), "{path}");
            }
        }
    }

    /// What another node passes on comes from the client's address, and was counted there.
    #[tokio::test]
    async fn what_another_node_passes_on_is_not_counted_again() {
        let router = router("1");
        for _ in 0..3 {
            let mut asked = request("GET", "/a", &[], "");
            asked.extensions_mut().insert(forward::Once);
            // Only gated writes are passed on; this is none, and that is what refuses it.
            assert_eq!(send(&router, asked).await.status, 404);
        }
        assert_eq!(send(&router, request("GET", "/a", &[], "")).await.status, 200);
    }

    /// Spec §5: a page of an allowed origin learns that it asked too often, and until when.
    #[tokio::test]
    async fn browsers_may_read_the_refusal_and_its_headers() {
        let router = router("1");
        for status in [200, 429] {
            let answer = send(&router, request("GET", "/a", &[("origin", "https://app.test")], "")).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.test"));
            let exposed = answer.header("access-control-expose-headers").unwrap().to_owned();
            for name in ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
                assert!(exposed.split(',').any(|header| header.trim() == name), "{name}: {exposed}");
            }
        }
    }
}

//! How requests and answers travel between nodes: u32 length of a JSON head, the head, the body. Version 1; members are
//! only ever added to the heads.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request};
use axum::response::Response;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};

use crate::http::extract::{ClientInfo, idempotency};
use crate::http::request_id::{self, RequestId};
use crate::service::Error;

/// What of a request goes along. Nothing by which a proxy in front of the first node speaks of the caller: that was
/// understood there.
const ASKED: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::USER_AGENT,
    header::ACCEPT,
    HeaderName::from_static("traceparent"),
    idempotency::KEY,
];
/// What of an answer comes back; the first node adds what every answer has.
const ANSWERED: [HeaderName; 9] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::LOCATION,
    HeaderName::from_static("x-applied-index"),
    idempotency::REPLAYED,
];
/// Largest body of an answer.
const MAX_BODY: usize = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct AskedHead {
    v: u32,
    method: String,
    uri: String,
    /// Values as Latin-1, so that every byte survives.
    headers: Vec<(String, String)>,
    request_id: String,
    ip: IpAddr,
    https: bool,
}

/// A request on its way.
pub(super) struct Asked {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    request_id: String,
    /// Who asked the first node.
    pub(super) ip: IpAddr,
    /// Whether it asked over https.
    pub(super) https: bool,
    body: Bytes,
}

impl Asked {
    /// What the first node was asked.
    pub(super) fn of(parts: &request::Parts, body: Bytes) -> Self {
        let client = ClientInfo::of(&parts.extensions);
        Self {
            method: parts.method.to_string(),
            uri: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            headers: listed(&parts.headers, &ASKED),
            request_id: RequestId::of(&parts.extensions).as_str().to_owned(),
            ip: client.ip,
            https: client.https,
            body,
        }
    }

    pub(super) fn encode(self) -> Result<Bytes, Error> {
        let Self { method, uri, headers, request_id, ip, https, body } = self;
        frame(&AskedHead { v: 1, method, uri, headers, request_id, ip, https }, &body)
            .map_err(Error::internal)
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, String> {
        let (head, body) = unframe::<AskedHead>(bytes)?;
        let AskedHead { v: _, method, uri, headers, request_id, ip, https } = head;
        Ok(Self { method, uri, headers, request_id, ip, https, body })
    }

    pub(super) fn into_request(self) -> Result<Request, String> {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).map_err(|e| e.to_string())?;
        *request.uri_mut() = self.uri.parse::<Uri>().map_err(|e| e.to_string())?;
        fill(request.headers_mut(), self.headers, &ASKED)?;
        let id = HeaderValue::from_str(&self.request_id).map_err(|e| e.to_string())?;
        request.headers_mut().insert(request_id::HEADER, id);
        Ok(request)
    }
}

#[derive(Serialize, Deserialize)]
struct AnswerHead {
    v: u32,
    status: u16,
    headers: Vec<(String, String)>,
    nothing_written: bool,
}

/// An answer on its way back.
pub(super) struct Answer {
    pub(super) response: Response,
    /// Whether it says that nothing was written because somebody else leads.
    pub(super) nothing_written: bool,
}

impl Answer {
    pub(super) async fn encode(self) -> Bytes {
        let (parts, body) = self.response.into_parts();
        let mut head = AnswerHead {
            v: 1,
            status: parts.status.as_u16(),
            headers: listed(&parts.headers, &ANSWERED),
            nothing_written: self.nothing_written,
        };
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                tracing::error!(%error, "the answer to a request that was passed on is lost");
                head.status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
                Bytes::new()
            }
        };
        // Numbers, texts and lists of texts are always JSON.
        frame(&head, &body).unwrap_or_default()
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let answer = || {
            let (head, body) = unframe::<AnswerHead>(bytes)?;
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(head.status).map_err(|e| e.to_string())?;
            fill(response.headers_mut(), head.headers, &ANSWERED)?;
            Ok::<_, String>(Self { response, nothing_written: head.nothing_written })
        };
        answer().map_err(Error::internal)
    }
}

fn listed(headers: &HeaderMap, names: &[HeaderName]) -> Vec<(String, String)> {
    let latin1 = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    names
        .iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name.to_string(), latin1(value))))
        .collect()
}

fn fill(headers: &mut HeaderMap, listed: Vec<(String, String)>, names: &[HeaderName]) -> Result<(), String> {
    for (name, value) in listed {
        // A later release may send more.
        let Some(name) = names.iter().find(|known| known.as_str() == name) else { continue };
        let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let bytes = bytes.map_err(|e| format!("{name}: {e}"))?;
        let value = HeaderValue::from_bytes(&bytes).map_err(|e| format!("{name}: {e}"))?;
        headers.append(name, value);
    }
    Ok(())
}

fn frame<T: Serialize>(head: &T, body: &[u8]) -> Result<Bytes, String> {
    let head = serde_json::to_vec(head).map_err(|e| e.to_string())?;
    let length = u32::try_from(head.len()).map_err(|e| e.to_string())?;
    let mut bytes = BytesMut::with_capacity(4 + head.len() + body.len());
    bytes.put_u32(length);
    bytes.put_slice(&head);
    bytes.put_slice(body);
    Ok(bytes.freeze())
}

fn unframe<T: for<'de> Deserialize<'de>>(mut bytes: Bytes) -> Result<(T, Bytes), String> {
    let short = || "shorter than its head".to_owned();
    let length = usize::try_from(bytes.try_get_u32().map_err(|_| short())?).map_err(|_| short())?;
    if length > bytes.len() {
        return Err(short());
    }
    let head = serde_json::from_slice(&bytes.split_to(length)).map_err(|e| e.to_string())?;
    Ok((head, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wire format of version 1: a released byte never changes.
    #[test]
    fn golden_bytes_of_a_request() {
        let asked = Asked {
            method: "PUT".to_owned(),
            uri: "/v1/admin/tenants/acme".to_owned(),
            headers: vec![("if-match".to_owned(), "\"7\"".to_owned())],
            request_id: "r-1".to_owned(),
            ip: IpAddr::from([192, 0, 2, 1]),
            https: true,
            body: Bytes::from_static(b"{}"),
        };
        let bytes = asked.encode().unwrap();
        let golden = "{\"v\":1,\"method\":\"PUT\",\"uri\":\"/v1/admin/tenants/acme\",\"headers\":[[\"if-match\",\"\\\"7\\\"\"]],\
                      \"request_id\":\"r-1\",\"ip\":\"192.0.2.1\",\"https\":true}{}";
        assert_eq!(std::str::from_utf8(&bytes[4..]).unwrap(), golden);
        let request = Asked::decode(bytes).unwrap().into_request().unwrap();
        assert_eq!(request.headers()[header::IF_MATCH], "\"7\"");
        assert_eq!(request.headers()["x-request-id"], "r-1");
    }

    #[tokio::test]
    async fn an_answer_comes_back_with_what_belongs_to_it_and_nothing_else() {
        let response = Response::builder()
            .status(201)
            .header("etag", "\"1\"")
            .header("x-applied-index", "9")
            .header("x-request-id", "its-own")
            .header("set-cookie", "never=1")
            .body(Body::from("{}"))
            .unwrap();
        let bytes = Answer { response, nothing_written: false }.encode().await;
        let answer = Answer::decode(bytes).unwrap();
        assert_eq!(answer.response.status(), 201);
        let names: Vec<_> = answer.response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag", "x-applied-index"]);
        let body = answer.response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{}");
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bytes in [&b""[..], &[0, 0, 0, 9, b'{'], &[0xff, 0xff, 0xff, 0xff], &[0, 0, 0, 2, b'{', b'}']] {
            assert!(Asked::decode(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
            assert!(Answer::decode(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
